"""EgoGestAR's first fold with both streams in training; a test has the video alone.

The video comes to the student as in ``egogestar_video``, but for its times: those of
both streams are drawn together, smoothly, as the teacher learned them.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import PackInputs

with read_base():
    from .egogestar import *

test_pipeline = [_test_times, _decode, dict(type=PackInputs, streams=("video",))]
val_dataloader.dataset.update(require=("video",), pipeline=test_pipeline)
test_dataloader.dataset.update(require=("video",), pipeline=test_pipeline)
