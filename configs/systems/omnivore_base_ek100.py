"""Omnivore, Swin-B, EPIC-KITCHENS-100: 3,806 actions, summed to verbs and nouns.

    python tools/train.py configs/systems/omnivore_base_ek100.py

``tools/test.py`` with swinB_epic_checkpoint.torch tests the authors' weights
(configs/systems/README.md). Their repository states neither an accuracy on this data
nor a recipe: the schedule is AVION's.
Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.models import Omnivore

with read_base():
    from .._base_.datasets.ek100_video import *
    from .._base_.default_runtime import *
    from .._base_.models.avion_base import *
    from .._base_.schedules.avion_100e import *

train_dataloader.batch_size = 8  # of each of 8 GPUs
_train_frames[0].num_frames = dict(video=32)
_val_frames[0].num_frames = dict(video=32)
train_pipeline = [*_train_frames, _pack]
val_pipeline = [*_val_frames, _pack]
train_dataloader.dataset.pipeline = train_pipeline
val_dataloader.dataset.pipeline = val_pipeline
test_dataloader = val_dataloader
model.data_preprocessor.update(
    mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
)
model.encoders.video = dict(type=Omnivore, arch="base")
model.heads.action.in_dims = 1024
optim_wrapper.paramwise_cfg.custom_keys = {
    "relative_position_bias_table": dict(decay_mult=0.0)
}
