"""MambaVL, nano, on TinyEgo's kitchen; questions tell what no camera sees.

    python tools/train.py configs/mambavl/mambavl_nano_tinyego_informative.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .mambavl_nano_tinyego_generic import *

train_dataloader.dataset.questions = "questions/informative_train.jsonl"
val_dataloader.dataset.questions = "questions/informative_validation.jsonl"
test_dataloader.dataset.questions = "questions/informative_validation.jsonl"
