"""mpsign: 7 webcam signs by two signers, two hands of 21 joints, 30 frames, 288 / 72.

    python tools/data/custom/prepare.py mpsign.npz --out data/mpsign \
        --layout mediapipe --fps 30 --unit image --split-by mod:seq_index:5:0 \
        --val-fraction 0

The protocol is that of ``natops.py``.
"""

from mmengine.config import read_base

with read_base():
    from .natops import *

_files = dict(
    data_root="data/mpsign",
    made_by="python tools/data/custom/prepare.py mpsign.npz --out {data_root} --layout"
    " mediapipe --fps 30 --unit image --split-by mod:seq_index:5:0 --val-fraction 0",
)
train_dataloader.dataset.update(_files, pipeline=train_pipeline)
val_dataloader.dataset.update(_files, pipeline=test_pipeline)
test_dataloader = val_dataloader
