"""MambaVL's text side alone, nano, on TinyEgo's kitchen, informative questions.

    python tools/train.py configs/mambavl/text_only_nano_tinyego_informative.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_ek100_text import *
    from .._base_.cpu_runtime import *
    from .._base_.models.mambavl_nano import *
    from .._base_.schedules.mambavl_nano import *

model.encoders.pop("video")
model.neck.streams.pop("video")
train_dataloader.dataset.questions = "questions/informative_train.jsonl"
val_dataloader.dataset.questions = "questions/informative_validation.jsonl"
test_dataloader.dataset.questions = "questions/informative_validation.jsonl"
