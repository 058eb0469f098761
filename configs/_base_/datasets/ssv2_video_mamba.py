"""Something-Something V2 as VideoMamba trains on it: 8 frames of 224 px, seen twice.

data/ssv2/20bn-something-something-v2/78687.webm and data/ssv2/labels/{train,validation,
labels}.json, as downloaded. VideoMamba's `train.csv`: configs/recognition/README.md. No
flip: classes tell left from right.
"""

from mmfusion.datasets import SeededSampler, VideoListDataset, fusion_collate
from mmfusion.datasets.transforms import (
    DecodeVideo,
    PackInputs,
    RandAugment,
    RepeatAugment,
    SampleSegments,
)
from mmfusion.evaluation import AccuracyMetric

_see = [
    dict(type=RandAugment, magnitude=7, num_ops=4, magnitude_std=0.5),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.08, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
    dict(
        type="mmaction.RandomErasing",
        erase_prob=0.25,
        mode="rand",
        fill_color=(123.675, 116.28, 103.53),
        fill_std=(58.395, 57.12, 57.375),
    ),
]
train_pipeline = [
    dict(type=SampleSegments, num_frames=8, rule="floored", mode="random"),
    dict(type=DecodeVideo),
    dict(type=RepeatAugment, num_repeats=2, transforms=_see),
    dict(type=PackInputs, streams=("video",)),
]
val_pipeline = [
    dict(type=SampleSegments, num_frames=8, rule="floored", mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    dict(type=PackInputs, streams=("video",)),
]
test_pipeline = [
    dict(
        type=SampleSegments, num_frames=8, rule="floored", mode="uniform", num_views=2
    ),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.ThreeCrop", crop_size=224),
    dict(type=PackInputs, streams=("video",)),
]

train_dataloader = dict(
    batch_size=64,  # of each of 8 GPUs
    num_workers=12,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type=SeededSampler, shuffle=True),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=VideoListDataset,
        list_file="labels/train.json",
        layout="ssv2",
        class_file="labels/labels.json",
        prefix="20bn-something-something-v2",
        data_root="data/ssv2",
        split="train",
        num_classes=dict(action=174),
        pipeline=train_pipeline,
        on_error=dict(policy="replace", max_bad=0.01),
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=12,
    persistent_workers=True,
    sampler=dict(type=SeededSampler, shuffle=False),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=VideoListDataset,
        list_file="labels/validation.json",
        layout="ssv2",
        class_file="labels/labels.json",
        prefix="20bn-something-something-v2",
        data_root="data/ssv2",
        split="val",
        num_classes=dict(action=174),
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type=AccuracyMetric)
test_dataloader = dict(
    batch_size=16,
    num_workers=12,
    sampler=dict(type=SeededSampler, shuffle=False),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(val_dataloader["dataset"], pipeline=test_pipeline),
)
test_evaluator = val_evaluator
