"""A fused model that is built in no time, and checkpoints of it."""

import torch
from mmengine.config import Config

from mmfusion.engine.launch.config_data import build_model
from mmfusion.engine.runner.card import card_of
from mmfusion.engine.runner.checkpoints import save_atomic

CLASSES = {"action": ["cut", "wash", "dry"]}
SKELETON = dict(layout="openpose21", hands=["left", "right"], unit="m", frame="camera")
METAINFO = dict(dataset="kitchen", classes=CLASSES, skeleton=SKELETON)
PIPELINE = [
    dict(type="SampleTimes", num_frames=dict(video=2, skeleton=4), mode="uniform"),
    dict(type="DecodeVideo"),
    dict(type="LoadSkeleton"),
    dict(type="mmaction.Resize", scale=(32, 32), keep_ratio=False),
    dict(type="NormalizeSkeleton", mode="wrist", scale=10.0),
    dict(type="PackInputs", streams=("video", "skeleton")),
]


def model_config(**changes):
    """Video of 2 frames of 32 x 32 and skeletons of 4 frames, averaged."""
    video = dict(type="VideoMamba", arch="nano", img_size=32, num_frames=2)
    skeleton = dict(type="SkeletonMamba", arch="nano", num_frames=4)
    return {
        "type": "MultiModalRecognizer",
        "encoders": {"video": video, "skeleton": skeleton},
        "neck": dict(type="CLSMixFusion", mix=dict(type="AverageMix"), embed_dims=64),
        "heads": {"action": dict(type="ClassificationHead", num_classes=3, in_dims=64)},
        **changes,
    }


def card(config=None, **changes):
    """The card that a run of such a model writes."""
    config = config or model_config()
    loader = dict(dataset=dict(pipeline=PIPELINE))
    whole = Config(dict(model=config, test_dataloader=loader))
    made = card_of(whole, build_model(config, "a test"), METAINFO)
    made["data"] = dict(name="kitchen", splits={"train": 8, "val": 4}, n=8)
    score = dict(value=75.0, low=30.1, high=95.4, n=4, split="val")
    made["metrics"] = {"action/top1": score, "action/top5": {**score, "value": 100.0}}
    return {**made, **changes}


def write_checkpoint(path, *, seed=0, **meta):
    """A checkpoint of random weights with a card; returns its model."""
    torch.manual_seed(seed)
    model = build_model(model_config(), "a test")
    meta = {"card": card(), **meta}
    save_atomic({"meta": meta, "state_dict": model.state_dict()}, path)
    return model


def batch(count=2):
    """Normalised video, skeleton and the mask of seen joints."""
    generator = torch.Generator().manual_seed(1)
    return {
        "video": torch.randn(count, 1, 3, 2, 32, 32, generator=generator),
        "skeleton": torch.randn(count, 1, 4, 42, 3, generator=generator),
        "skeleton_mask": torch.rand(count, 1, 4, 42, generator=generator) > 0.2,
    }
