"""EPIC-KITCHENS-100: 16 frames of 224 px from the whole segment, and two questions.

    python tools/data/ek100/prepare.py --root data/ek100

Trained with questions worded from the labels, as in paper B, and evaluated with the
two generic ones, which tell nothing. The protocol of the paper, which lets them tell
the answer, is one option away: configs/mambavl/README.md.
"""

from mmfusion.datasets import EpicKitchensDataset, SeededSampler, fusion_collate
from mmfusion.datasets.transforms import (
    DecodeVideo,
    PackInputs,
    SampleTimes,
    TokenizeQuestions,
)
from mmfusion.evaluation import EpicKitchensMetric, LeakMeterMetric

data_root = "data/ek100"
_meta_keys = ("video_id", "participant_id", "question_source", "question_tasks")
_tokenize = dict(
    type=TokenizeQuestions, tokenizer="FacebookAI/roberta-base", max_length=40
)

train_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=16), mode="random"),
    dict(type=DecodeVideo),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.5, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
    _tokenize,
    dict(type=PackInputs, streams=("video", "text"), meta_keys=_meta_keys),
]
val_pipeline = [
    dict(type=SampleTimes, num_frames=dict(video=16), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.CenterCrop", crop_size=224),
    _tokenize,
    dict(type=PackInputs, streams=("video", "text"), meta_keys=_meta_keys),
]

train_dataloader = dict(
    batch_size=16,  # of each of 8 GPUs
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type=SeededSampler, shuffle=True),
    collate_fn=dict(type=fusion_collate),
    dataset=dict(
        type=EpicKitchensDataset,
        data_root=data_root,
        split="train",
        questions="questions/ground_truth_train.jsonl",
        pipeline=train_pipeline,
        on_error=dict(policy="replace", max_bad=0.01),
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=8,
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
