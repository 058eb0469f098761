"""TinyEgo's kitchen in EPIC-KITCHENS-100's layout: 8 frames of 64 px, two questions.

    python tools/data/tinyego/generate.py --layout ek100 \\
        --num-train 1440 --out data/tinyego_ek100

Questions are the two generic ones; a config names those of another source. Testing runs
on the validation split: the labels of the test split are hidden.
"""

from mmfusion.datasets import EpicKitchensDataset, SeededSampler, fusion_collate
from mmfusion.datasets.transforms import (
    DecodeVideo,
    PackInputs,
    SampleTimes,
    TokenizeQuestions,
)
from mmfusion.evaluation import EpicKitchensMetric, LeakMeterMetric

data_root = "data/tinyego_ek100"
_meta_keys = ("video_id", "participant_id", "question_source", "question_tasks")
_tokenize = dict(
    type=TokenizeQuestions, tokenizer="data/tinyego_ek100/tokenizer", max_length=24
)

train_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=8), mode="random"),
    dict(type=DecodeVideo),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.7, 1.0)),
    dict(type="mmaction.Resize", scale=(64, 64), keep_ratio=False),
    _tokenize,
    dict(type=PackInputs, streams=("video", "text"), meta_keys=_meta_keys),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=8), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(64, 64), keep_ratio=False),
    _tokenize,
    dict(type=PackInputs, streams=("video", "text"), meta_keys=_meta_keys),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type=SeededSampler, shuffle=True),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=EpicKitchensDataset,
        data_root=data_root,
        split="train",
        questions="generic",
        pipeline=train_pipeline,
        on_error=dict(policy="replace", max_bad=0.01),
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type=SeededSampler, shuffle=False),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=EpicKitchensDataset,
        data_root=data_root,
        split="val",
        questions="generic",
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = [
    dict(type=EpicKitchensMetric),
    dict(
        type=LeakMeterMetric,
        train=dict(type=EpicKitchensDataset, split="train"),
        questions="questions/{source}_train.jsonl",
    ),
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
