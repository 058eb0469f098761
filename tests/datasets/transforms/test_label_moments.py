"""Labels of every moment."""

import numpy as np
import pytest

from mmfusion.datasets.transforms import LabelMoments
from mmfusion.utils.errors import InputError

CLASSES = {"verb": ["take", "cut", "background"]}


def labelled(segments, **options):
    """Labels (4, 3) at 0, 1, 2 and 3 s."""
    results = {
        "times": {"video": np.arange(4.0)[None]},
        "extra": {"segments": segments},
        "ann_meta": {"classes": CLASSES},
    }
    return LabelMoments(**options)(results)


def test_frames_of_an_action_and_background() -> None:
    found = labelled([[1.0, 3.0, {"verb": 1}]])
    assert found["label"]["verb"].argmax(1).tolist() == [2, 1, 1, 2]
    assert found["moments"].tolist() == [0, 1, 2, 3]


def test_actions_that_overlap_share_the_moment() -> None:
    found = labelled([[0.0, 2.0, {"verb": 0}], [1.0, 3.0, {"verb": 1}]])
    np.testing.assert_allclose(found["label"]["verb"][:2], [[1, 0, 0], [0.5, 0.5, 0]])


def test_where_no_frame_is_there_is_no_label() -> None:
    results = {
        "times": {"video": np.array([[0.0, 1.0, 1.0]])},
        "times_mask": {"video": np.array([[True, True, False]])},
        "extra": {"segments": [[1.0, 3.0, {"verb": 1}]]},
        "ann_meta": {"classes": CLASSES},
    }
    label = LabelMoments()(results)["label"]["verb"]
    assert label.dtype == np.float32
    assert label.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_labels_of_what_comes() -> None:
    found = labelled([[3.0, 5.0, {"verb": 0}]], tau_a=1.0)
    assert found["label"]["verb"].argmax(1).tolist() == [2, 2, 0, 0]
    assert found["tau_a"] == 1.0


@pytest.mark.parametrize(
    "points,expected", [("start", [2, 0, 2, 2]), ("end", [2, 2, 2, 0])]
)
def test_points_are_one_moment_each(points, expected) -> None:
    found = labelled([[0.8, 2.6, {"verb": 0}], [9.0, 9.5, {"verb": 1}]], points=points)
    assert found["label"]["verb"].argmax(1).tolist() == expected


def test_a_clip_of_one_action_has_no_moments() -> None:
    with pytest.raises(InputError, match="untrimmed"):
        LabelMoments()({"times": {"video": np.zeros((1, 1))}, "extra": {}})
    with pytest.raises(InputError, match="points"):
        LabelMoments(points="middle")
