"""EPIC-KITCHENS-100, anticipation, as InAViT reads it: a hand and four objects.

16 frames of the 64 / 30 s that end 1 s before; the release leaves no gap, as
``legacy_inavit=True`` of ``SampleObservedFrames`` does. Its hand is the right one, and
two of its four objects are never there: its loader keeps their places for the hands'
numbers. Boxes follow crops and flips, but not RandAugment, which is left out; testing
takes the middle crop of one window, where the authors take three crops of ten.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import ArrangeBoxes, DecodeVideo, PackInputs

with read_base():
    from .ek100_anticipation import *

_arrange = dict(
    type=ArrangeBoxes,
    names=("right hand", None, None, "object", "object 2"),
    min_side=0.05,
)
_pack = dict(type=PackInputs, streams=("video", "boxes"))
train_pipeline = [
    _train_frames[0],
    dict(type=DecodeVideo),
    dict(type="mmaction.RandomRescale", scale_range=(256, 320)),
    dict(type="mmaction.RandomCrop", size=224),
    dict(type="mmaction.Flip", flip_ratio=0.5),
    *_boxes,
    _arrange,
    _pack,
]
val_pipeline = [*_val_frames, *_boxes, _arrange, _pack]
train_dataloader.batch_size = 5  # of each of 4 GPUs
train_dataloader.dataset.update(pipeline=train_pipeline, questions=None)
val_dataloader.dataset.update(pipeline=val_pipeline, questions=None)
val_evaluator = val_evaluator[:1]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
