"""InAViT, nano, from scratch: what comes next in TinyEgo's kitchen, 1 s ahead.

    python tools/train.py configs/systems/inavit_nano_tinyego_anticipation.py

With the paper's infusion of context, which the released config leaves out.
No paper has this data set. Ours: recall@5 of actions 73.4 (n = 240,
seed 0), 6 minutes on a busy core of an Intel Xeon; configs/systems/README.md.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import ArrangeBoxes, PackInputs
from mmfusion.models import ClassificationHead, InAViT

with read_base():
    from .._base_.datasets.tinyego_ek100_anticipation_video import *
    from .._base_.anticipation_runtime import *
    from .._base_.models.motionformer_base import *
    from .._base_.schedules.mambavl_nano_anticipation import *

_window.update(num_frames=dict(video=4), tau_o=4.0)
_train_frames[0] = dict(_window, mode="random", drop="empty")
_val_frames[0] = dict(_window, mode="uniform")
_names = ("left hand", "right hand", "object")
_pack = dict(type=PackInputs, streams=("video", "boxes"))
_boxes = [*_boxes, dict(type=ArrangeBoxes, names=_names), _pack]
train_pipeline = [*_train_frames, *_boxes]
val_pipeline = [*_val_frames, *_boxes]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
val_evaluator = [val_evaluator[0], val_evaluator[2]]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
env_cfg.num_threads = 1
model.encoders.video = dict(type=InAViT, arch="nano", num_frames=4, img_size=64)
model.encoders.video.update(num_hands=2, num_objects=1, infuse_context=True)
_head = dict(type=ClassificationHead, in_dims=64, init_std=0.15)
model.heads = dict(verb=dict(_head, num_classes=6), noun=dict(_head, num_classes=12))
