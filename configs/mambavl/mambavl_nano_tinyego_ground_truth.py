"""MambaVL, nano, on TinyEgo's kitchen; questions are worded for the label (an oracle).

    python tools/train.py configs/mambavl/mambavl_nano_tinyego_ground_truth.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .mambavl_nano_tinyego_generic import *

train_dataloader.dataset.questions = "questions/ground_truth_train.jsonl"
val_dataloader.dataset.questions = "questions/ground_truth_validation.jsonl"
test_dataloader.dataset.questions = "questions/ground_truth_validation.jsonl"
