"""A causal model of two streams that is built in no time, and streams for it."""

import numpy as np
import torch
from mmengine.config import Config

from mmfusion.apis import LoadedModel
from mmfusion.engine.launch.config_data import build_model
from mmfusion.engine.runner.card import card_of

SKELETON = dict(layout="openpose21", hands=["left", "right"], unit="m", frame="camera")
METAINFO = dict(
    dataset="kitchen", classes={"action": ["cut", "wash", "dry"]}, skeleton=SKELETON
)
MOST = dict(video=40, skeleton=120)
RATES = dict(video=8.0, skeleton=30.0)
PIPELINE = [
    dict(type="SampleRates", rates=RATES, num_frames=MOST, mode="all"),
    dict(type="DecodeVideo"),
    dict(type="LoadSkeleton"),
    dict(type="mmaction.Resize", scale=(32, 32), keep_ratio=False),
    dict(type="NormalizeSkeleton", mode="first_size"),
    dict(type="PackInputs", streams=("video", "skeleton")),
]


def causal_config():
    """Both causal encoders of nano size, and two layers on what they read out."""
    video = dict(type="CausalVideoMamba", arch="nano", img_size=32)
    skeleton = dict(type="CausalSkeletonMamba", arch="nano")
    streams = dict(video={}, skeleton={})
    return dict(
        type="MultiModalRecognizer",
        encoders=dict(video=video, skeleton=skeleton),
        neck=dict(type="MLPFusion", embed_dims=64, streams=streams),
        heads=dict(
            action=dict(
                type="ClassificationHead", num_classes=3, in_dims=64, init_std=1.0
            )
        ),
    )


def loaded(config=None, pipeline=PIPELINE, seed=0):
    """Such a model of random weights, as load_model gives one."""
    torch.manual_seed(seed)
    config = config or causal_config()
    model = build_model(config, "a test").eval()
    loader = dict(dataset=dict(pipeline=pipeline))
    whole = Config(dict(model=config, test_dataloader=loader))
    card = card_of(whole, model, METAINFO)
    classes, streams = card["classes"], tuple(card["streams"])
    return LoadedModel(model, whole, pipeline, classes, streams, card, "a test")


def frames(count, seed=0):
    """(t, 24, 40, 3) uint8, a square that moves over noise."""
    generator = np.random.default_rng(seed)
    video = generator.integers(0, 60, (count, 24, 40, 3), np.uint8)
    for index in range(count):
        left = (3 * index + seed) % 32
        video[index, 8:16, left : left + 8] += 150
    return video


def hands(count, seed=0):
    """Joints (t, 2, 21, 3) in metres that wander, and a mask (t, 2, 21)."""
    generator = np.random.default_rng(seed)
    shape = generator.normal(0, 0.03, (1, 2, 21, 3))
    path = generator.normal(0, 0.01, (count, 2, 1, 3)).cumsum(0)
    joints = shape + path + generator.normal(0, 0.001, (count, 2, 21, 3))
    mask = generator.random((count, 2, 21)) > 0.1
    mask &= generator.random((count, 2, 1)) > 0.2
    return joints.astype(np.float32), mask
