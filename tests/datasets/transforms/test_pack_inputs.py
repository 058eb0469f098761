"""Joints that are packed: finite, whatever stands where there is none."""

import numpy as np
import pytest

from mmfusion.datasets.transforms.pack_inputs import _pack_skeleton


def test_joints_that_are_not_there_are_finite() -> None:
    joints = np.ones((1, 2, 1, 3, 3), np.float32)
    mask = np.ones((1, 2, 1, 3), bool)
    joints[0, 1, 0, 2], mask[0, 1, 0, 2] = np.nan, False
    packed = _pack_skeleton(dict(joints=joints, joints_mask=mask))
    assert packed["skeleton"][0, 1].tolist() == [[1.0] * 3, [1.0] * 3, [0.0] * 3]
    with pytest.raises(ValueError, match="a valid one is not finite"):
        _pack_skeleton(dict(joints=joints, joints_mask=np.ones_like(mask)))
