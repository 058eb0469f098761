"""MambaVL, nano, on TinyEgo's kitchen; questions are worded for another model's guess.

    python tools/train.py configs/mambavl/mambavl_nano_tinyego_predicted.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .mambavl_nano_tinyego_generic import *

train_dataloader.dataset.questions = "questions/predicted_train.jsonl"
val_dataloader.dataset.questions = "questions/predicted_validation.jsonl"
test_dataloader.dataset.questions = "questions/predicted_validation.jsonl"
