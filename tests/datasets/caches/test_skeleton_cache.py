"""Skeleton caches: what is refused, and what counts as complete."""

import numpy as np
import pytest

from mmfusion.datasets.caches.skeleton_cache import (
    load_skeleton_file,
    read_valid,
    write_skeleton_cache,
)


def arrays(**changes) -> dict:
    found = {
        "keypoint": np.ones((3, 2, 21, 3), np.float32),
        "valid": np.ones((3, 2), bool),
        "frame_id": np.array([0, 1, 4]),
        "fps": 30.0,
        "sequence": "a/b",
    }
    return {**found, **changes}


def test_what_is_written_is_what_the_pipeline_reads(tmp_path):
    path = tmp_path / "skeleton" / "a_b.npz"
    write_skeleton_cache(path, **arrays())
    data = load_skeleton_file(str(path))
    assert data.keypoint.shape == (3, 2, 21, 3)
    assert data.frame_id.tolist() == [0, 1, 4]
    assert (data.fps, data.sequence) == (30.0, "a/b")
    assert [item.name for item in path.parent.iterdir()] == ["a_b.npz"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoint": np.ones((3, 2, 63))}, r"a/b.*shape \(3, 2, 63\); expected"),
        ({"keypoint": np.ones((0, 2, 21, 3))}, "a/b.*holds 0 frames"),
        ({"valid": np.ones(3, bool)}, r"valid has shape \(3,\); expected \(3, 2\)"),
        ({"frame_id": np.array([0, 2, 2])}, "a/b.*must be 3 ascending"),
        (
            {"keypoint": np.full((3, 2, 21, 3), np.nan)},
            "row 0, hand 0, joint 0: x is nan",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_not_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        write_skeleton_cache(tmp_path / "x.npz", **arrays(**changes))
    assert not list(tmp_path.iterdir())


def test_only_a_whole_cache_of_the_same_frames_is_kept(tmp_path):
    path = tmp_path / "x.npz"
    assert read_valid(path, "a/b") is None
    write_skeleton_cache(path, **arrays())
    assert read_valid(path, "a/b").shape == (3, 2)
    assert read_valid(path, "a/b", np.array([0, 1, 4])) is not None
    assert read_valid(path, "a/b", np.array([0, 1, 2])) is None
    assert read_valid(path, "a/c") is None
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert read_valid(path, "a/b") is None
