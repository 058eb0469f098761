"""Precision of frames and points of untrimmed videos."""

import numpy as np
import pytest

from mmfusion.evaluation.online import (
    Detections,
    frame_average_precision,
    frame_precisions,
    multi_point_precision,
    point_average_precision,
    rises,
)
from mmfusion.utils.errors import InputError


def found(*rows):
    """Detections of rows (video, seconds, score)."""
    video, time, score = zip(*rows, strict=True)
    return Detections(np.array(video), np.array(time, float), np.array(score, float))


def test_frame_precision_by_hand() -> None:
    # order by score: right, wrong, right -> (1/1 + 2/3) / 2
    value = frame_average_precision([0.9, 0.2, 0.5, 0.1], [True, True, False, False])
    assert value == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_equal_scores_are_one_threshold() -> None:
    forward = frame_average_precision([0.5, 0.5, 0.1], [True, False, True])
    assert forward == frame_average_precision([0.5, 0.5, 0.1], [False, True, True])
    assert forward == pytest.approx(100 * (0.5 * 1 / 2 + 0.5 * 2 / 3))


def test_frame_precision_equals_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    for _ in range(20):
        score = rng.integers(0, 12, 50) / 10  # with ties
        truth = rng.random(50) < 0.3
        ours = frame_average_precision(score, truth)
        theirs = metrics.average_precision_score(truth, score)
        assert ours == pytest.approx(100 * theirs, abs=1e-9)


def test_classes_without_a_frame_are_left_out() -> None:
    labels = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
    scores = np.array([[0.9, 0.3, 0], [0, 0.3, 0.9], [0.95, 0.3, 0]])
    assert frame_precisions(scores, labels) == {0: 50.0, 2: 100.0}
    with pytest.raises(InputError, match="one positive frame"):
        frame_average_precision([0.1], [False])


def test_point_precision_by_hand() -> None:
    # 2.6 s takes the nearest point (3 s), 2.0 the one that is left, 9.0 none
    points = (np.array([0, 0]), np.array([1.0, 3.0]))
    best = found((0, 2.6, 0.9), (0, 9.0, 0.8), (0, 2.0, 0.7))
    value = point_average_precision(best, *points, tolerance=1.0)
    assert value == pytest.approx(100 * (1 + 2 / 3) / 2)
    # a second hit of a point that is taken is false
    twice = found((0, 3.0, 0.9), (0, 3.1, 0.8))
    assert point_average_precision(twice, *points, tolerance=1.0) == 50.0


def test_precision_of_points_never_rises_with_recall() -> None:
    points = (np.array([0, 0]), np.array([0.0, 50.0]))
    # wrong, right, right: precisions 1/2 and 2/3, of which the first becomes 2/3
    best = found((0, 20.0, 0.9), (0, 0.0, 0.8), (0, 50.0, 0.7))
    value = point_average_precision(best, *points, tolerance=1.0)
    assert value == pytest.approx(100 * 2 / 3)


def test_a_point_of_the_next_video_is_not_met() -> None:
    # one clock for all videos, as in the published code, would find it 1 s away
    end_of_first = found((0, 60.0, 0.9))
    assert point_average_precision(
        end_of_first, np.array([1]), np.array([0.0]), tolerance=10.0
    ) == pytest.approx(0.0)


def test_mean_over_ten_tolerances() -> None:
    point = (np.array([0]), np.array([10.0]))
    # 3.5 s off: found within 4, 5 ... 10 s
    assert multi_point_precision(found((0, 13.5, 0.9)), *point) == pytest.approx(70.0)
    assert multi_point_precision(found((0, 10.0, 0.004)), *point) == 0.0  # the floor


def test_points_of_a_model_of_frames() -> None:
    scores = np.array([[0.0], [0.9], [0.8], [0.1]])
    np.testing.assert_allclose(rises(scores, "start")[:, 0], [0, 0.9, 0, 0])
    np.testing.assert_allclose(rises(scores, "end")[:, 0], [0, 0.1, 0.7, 0.1])
