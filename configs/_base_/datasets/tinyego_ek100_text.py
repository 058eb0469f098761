"""TinyEgo's kitchen, the questions alone: no video is read."""

from mmengine.config import read_base

from mmfusion.datasets.transforms import PackInputs, TokenizeQuestions

with read_base():
    from .tinyego_ek100 import *

_meta_keys = ("video_id", "participant_id", "question_source", "question_tasks")
train_pipeline = [
    dict(
        type=TokenizeQuestions, tokenizer="data/tinyego_ek100/tokenizer", max_length=24
    ),
    dict(type=PackInputs, streams=("text",), meta_keys=_meta_keys),
]
val_pipeline = train_pipeline
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader.dataset.pipeline = val_pipeline
