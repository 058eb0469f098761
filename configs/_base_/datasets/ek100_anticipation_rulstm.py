"""EPIC-KITCHENS-100, anticipation: RULSTM's features of 10 s, one a second, 1 s before.

    git clone https://github.com/fpv-iplab/rulstm && cd rulstm/RULSTM
    bash scripts/download_data_ek100_full.sh        # and put it under data/ek100/rulstm

TSN's rgb and flow, and objects: LMDBs of 1,024, 1,024 and 352 numbers a frame.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import (
    LoadFeatures,
    PackInputs,
    SampleObservedFrames,
)

with read_base():
    from .ek100_anticipation_video import *

_rgb = dict(type=LoadFeatures, stream="rgb", path="rulstm/rgb", width=1024)
_flow = dict(type=LoadFeatures, stream="flow", path="rulstm/flow", width=1024)
_obj = dict(type=LoadFeatures, stream="obj", path="rulstm/obj", width=352)
_window = dict(
    type=SampleObservedFrames,
    num_frames=dict(rgb=10, flow=10, obj=10),
    tau_a=1.0,
    tau_o=10.0,
    mode="ends",
)
_pack = dict(type=PackInputs, streams=("rgb", "flow", "obj"))
train_pipeline = [dict(_window, drop="empty"), _rgb, _flow, _obj, _pack]
val_pipeline = [_window, _rgb, _flow, _obj, _pack]
train_dataloader.batch_size = 64
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
