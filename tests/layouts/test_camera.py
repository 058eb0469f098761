"""The pinhole camera."""

import numpy as np

from mmfusion.layouts.camera import project

CAMERA = dict(fx=100.0, fy=100.0, cx=50.0, cy=40.0, width=100, height=80)


def test_project_by_hand():
    pixels, seen = project(np.array([[0.1, -0.2, 0.5], [0.0, 0.0, -1.0]]), CAMERA)
    np.testing.assert_allclose(pixels[0], (70, 0))
    assert seen.tolist() == [True, False]
