"""H2O: 8 frames of 224 px and 32 frames of two hands, both streams.

    python tools/data/h2o/prepare.py --root data/h2o

Testing runs on the val split: the labels of the test split are hidden (answer.zip:
tools/data/h2o/README.md).
"""

from mmfusion.datasets import H2ODataset, SeededSampler, fusion_collate
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
        type=H2ODataset,
        data_root="data/h2o",
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
        type=H2ODataset,
        data_root="data/h2o",
        split="val",
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type=AccuracyMetric)
test_dataloader = val_dataloader
test_evaluator = val_evaluator
