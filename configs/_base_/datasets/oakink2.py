"""OakInk2: 8 frames of 224 px and 32 frames of two hands, both streams.

    python tools/data/oakink2/prepare.py --root data/oakink2

The split is TaMF's, by sequence; a class is a primitive that is not transient.
"""

from mmfusion.datasets import OakInk2Dataset, SeededSampler, fusion_collate
from mmfusion.datasets.transforms import (
    AlignSkeleton,
    DecodeVideo,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    SampleTimes,
)
from mmfusion.evaluation import AccuracyMetric

num_frames = dict(video=8, skeleton=32)

train_pipeline = [
    dict(type=SampleTimes, num_frames=num_frames, mode="random"),
    dict(type=DecodeVideo),
    dict(type=LoadSkeleton),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.5, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
    dict(type="mmaction.Flip", flip_ratio=0.5),
    dict(type=AlignSkeleton),
    dict(type=NormalizeSkeleton, mode="first_wrist", scale=5.0),
    dict(type=PackInputs, streams=("video", "skeleton")),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=num_frames, mode="uniform"),
    dict(type=DecodeVideo),
    dict(type=LoadSkeleton),
    dict(type="mmaction.Resize", scale=(-1, 256)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    dict(type=AlignSkeleton),
    dict(type=NormalizeSkeleton, mode="first_wrist", scale=5.0),
    dict(type=PackInputs, streams=("video", "skeleton")),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type=SeededSampler, shuffle=True),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=OakInk2Dataset,
        data_root="data/oakink2",
        split="train",
        pipeline=train_pipeline,
        on_error=dict(policy="replace", max_bad=0.01),
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=SeededSampler, shuffle=False),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=OakInk2Dataset,
        data_root="data/oakink2",
        split="val",
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type=AccuracyMetric)
test_dataloader = dict(
    batch_size=8,
    num_workers=4,
    sampler=dict(type=SeededSampler, shuffle=False),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=OakInk2Dataset,
        data_root="data/oakink2",
        split="test",
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
test_evaluator = val_evaluator
