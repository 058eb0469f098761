"""From the detector's numbers to palms."""

import numpy as np
import pytest

from mmfusion.hands.palms import (
    SIZE,
    Letterbox,
    PalmDetector,
    decode,
    make_anchors,
    merge,
)


def test_anchors_are_those_of_the_model():
    anchors = make_anchors()
    assert anchors.shape == (2016, 2)
    assert anchors[[0, 1]].tolist() == [[0.5 / 24, 0.5 / 24]] * 2
    assert anchors[2].tolist() == [1.5 / 24, 0.5 / 24]
    assert anchors[1152].tolist() == [0.5 / 12, 0.5 / 12]  # the second layer
    assert anchors[-1].tolist() == [11.5 / 12, 11.5 / 12]


@pytest.mark.parametrize("size", [(240, 320), (1280, 720), (192, 192), (480, 640)])
def test_spot_of_a_picture_comes_back_from_the_letterbox(size):
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    y, x = height // 4, width // 3
    half = max(size) // 60
    picture[y - half : y + half, x - half : x + half] = 255
    box = Letterbox.of(height, width)
    filled = box.fill(picture)[..., 0].astype(float)
    assert filled.shape == (SIZE, SIZE)
    row, column = (np.indices(filled.shape) * filled).sum(axis=(1, 2)) / filled.sum()
    found = box.to_picture(np.array([column + 0.5, row + 0.5]))
    np.testing.assert_allclose(found, [x, y], atol=0.2 / box.scale)


def test_boxes_are_relative_to_their_anchors():
    raw = np.zeros((1, 18))
    raw[0, :6] = 3, -4, 50, 60, 1, 2
    found = decode(raw, np.array([[0.5, 0.25]]))[0]
    assert found[:6].tolist() == [99, 44, 50, 60, 97, 50]
    assert found[16:].tolist() == [96, 48]


def test_boxes_of_one_palm_become_their_mean_by_score():
    palms = np.zeros((3, 18))
    palms[:, :4] = [50, 50, 20, 20], [54, 50, 20, 20], [120, 50, 20, 20]
    merged, best = merge(palms, np.array([0.9, 0.3, 0.6]))
    assert best.tolist() == [0.9, 0.6]
    np.testing.assert_allclose(merged[:, 0], [51, 120])
    assert merge(np.zeros((0, 18)), np.zeros(0))[0].shape == (0, 18)


def test_detector_gives_squares_in_the_picture():
    raw, logits = np.zeros((1, 2016, 18)), np.full((1, 2016, 1), -9.0)
    anchor = 2 * (12 * 24 + 12)  # at 12.5 / 24 in both
    logits[0, anchor] = 2
    raw[0, anchor, 2:4] = 30
    raw[0, anchor, [5, 9]] = 20, -15  # the wrist below the knuckle
    (square,) = PalmDetector(lambda picture: [raw, logits], 0.5)(
        np.zeros((480, 640, 3), np.uint8)
    )
    scale = 640 / 192
    assert square.angle == pytest.approx(0)
    assert square.side == pytest.approx(2.6 * 30 * scale)
    assert square.x == pytest.approx(100 * scale)
    assert square.y == pytest.approx((100 - 24 - 15) * scale)
