"""Kinetics-400 as VideoMamba trains on it with 16 frames."""

from mmengine.config import read_base

with read_base():
    from .kinetics400_video_mamba import *

train_dataloader.dataset.pipeline[0].num_frames = 16
val_dataloader.dataset.pipeline[0].num_frames = 16
test_dataloader.dataset.pipeline[0].num_frames = 16
