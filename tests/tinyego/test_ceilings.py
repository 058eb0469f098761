"""The bounds: by hand, by design, and of the very files."""

from pathlib import Path

import numpy as np
import pytest

from mmfusion.tinyego import (
    LAYOUTS,
    ClipContent,
    best_accuracy,
    ceilings,
    designed_ceilings,
)


def test_best_accuracy_by_hand() -> None:
    # group x: 2 of 3 at most, group y: 1 of 1
    assert best_accuracy("xxxy", [0, 0, 1, 2]) == pytest.approx(75.0)


def test_no_function_of_the_input_beats_the_bound() -> None:
    inputs, labels = "xxyy", [0, 1, 1, 1]
    scores = []
    for x in (0, 1):
        for y in (0, 1):
            guesses = [{"x": x, "y": y}[given] for given in inputs]
            right = sum(np.equal(guesses, labels))
            scores.append(100.0 * right / 4)
    assert max(scores) == best_accuracy(inputs, labels)


def test_no_clips_is_an_error() -> None:
    with pytest.raises(ValueError, match="no clips"):
        best_accuracy([], [])


def test_design_by_hand() -> None:
    third = pytest.approx(100 / 3)
    assert designed_ceilings() == {
        "action": {"video": 75.0, "skeleton": third, "both": 100.0},
        "verb": {"video": 75.0, "skeleton": 100.0, "both": 100.0},
        "noun": {"video": 100.0, "skeleton": third, "both": 100.0},
    }


def test_distinct_clips_have_no_bound_below_all() -> None:
    clips = [ClipContent(action=a, video=a, skeleton=a) for a in range(12)]
    assert ceilings(clips)["action"]["video"] == 100.0


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("layout", ["h2o", "oakink2"])
def test_files_agree_with_the_design(
    layout: str, split: str, request: pytest.FixtureRequest
) -> None:
    root: Path = request.getfixturevalue(f"{layout}_root")
    contents = LAYOUTS[layout].read_contents(root, split)
    assert len(contents) == 12
    assert ceilings(contents) == designed_ceilings()
    # 9 different films and 4 different motions make 12 different clips
    assert len({clip.video for clip in contents}) == 9
    assert len({clip.skeleton for clip in contents}) == 4
