"""EPIC-KITCHENS-100: 16 frames of 224 px from the whole segment, and two questions.

    python tools/data/ek100/prepare.py --root data/ek100

Trained with questions worded from the labels, as in paper B, and evaluated with the
two generic ones, which tell nothing. The protocol of the paper, which lets them tell
the answer, is one option away: configs/mambavl/README.md.
"""

from mmengine.config import read_base

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.transforms import (
    AlignBoxes,
    DecodeVideo,
    LoadBoxes,
    PackInputs,
    SampleTimes,
    TokenizeQuestions,
)
from mmfusion.evaluation import EpicKitchensMetric, LeakMeterMetric

with read_base():
    from .loaders import *

# what the pipelines of this data are put together from
_train_frames = [
    dict(type=SampleTimes, num_frames=dict(video=16), mode="random"),
    dict(type=DecodeVideo),
    dict(type="mmaction.RandomResizedCrop", area_range=(0.5, 1.0)),
    dict(type="mmaction.Resize", scale=(224, 224), keep_ratio=False),
]
_val_frames = [
    dict(type=SampleTimes, num_frames=dict(video=16), mode="uniform"),
    dict(type=DecodeVideo),
    dict(type="mmaction.Resize", scale=(-1, 224)),
    dict(type="mmaction.CenterCrop", crop_size=224),
]
_boxes = [dict(type=LoadBoxes, num_boxes=4), dict(type=AlignBoxes)]
_tokenize = dict(
    type=TokenizeQuestions, tokenizer="FacebookAI/roberta-base", max_length=40
)

_pack = dict(type=PackInputs, streams=("video", "text"))
train_pipeline = [*_train_frames, _tokenize, _pack]
val_pipeline = [*_val_frames, _tokenize, _pack]

_files = dict(
    type=MultiModalDataset,
    ann_file="mmfusion/annotation.json",
    data_root="data/ek100",
    made_by="python tools/data/ek100/prepare.py --root {data_root}",
)
train_dataloader.update(batch_size=16, num_workers=8)  # of each of 8 GPUs
train_dataloader.dataset.update(
    _files, questions="questions/ground_truth_train.jsonl", pipeline=train_pipeline
)
val_dataloader.update(batch_size=16, num_workers=8)
val_dataloader.dataset.update(_files, questions="generic", pipeline=val_pipeline)
val_evaluator = [
    dict(type=EpicKitchensMetric),
    dict(type=LeakMeterMetric, questions="questions/{source}_train.jsonl"),
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
