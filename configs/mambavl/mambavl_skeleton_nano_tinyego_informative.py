"""MambaVL, nano, of three streams: RGB, hands and informative questions share A.

    python tools/train.py configs/mambavl/mambavl_skeleton_nano_tinyego_informative.py

No paper has this data set. Ours: configs/mambavl/README.md.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.tinyego_ek100_skeleton import *
    from .._base_.cpu_runtime import *
    from .._base_.models.mambavl_nano_skeleton import *
    from .._base_.schedules.mambavl_nano import *

train_dataloader.dataset.questions = "questions/informative_train.jsonl"
val_dataloader.dataset.questions = "questions/informative_validation.jsonl"
test_dataloader.dataset.questions = "questions/informative_validation.jsonl"
