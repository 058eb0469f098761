"""Windows of untrimmed videos, in place of the clips of their actions."""

import pytest

from mmfusion.datasets.untrimmed import Untrimmed, with_background
from mmfusion.utils.errors import AnnotationError, InputError


def action(number, start, end, video="P01_01", **more):
    keys = ("frame_dir", "skeleton", "boxes", "camera", "frame_ids", "total_frames")
    return {
        **dict.fromkeys(keys),
        "id": f"{video}_{number}",
        "group": video,
        "split": "train",
        "video": f"{video}.MP4",
        "start_sec": start,
        "end_sec": end,
        "duration_sec": 30.0,
        "index_fps": 60.0,
        "label": {"verb": number},
        "text": {"narration": "cut"},
        "extra": {"video_id": video, "participant_id": "P01"},
        **more,
    }


def test_a_whole_video_is_one_record_with_all_its_actions() -> None:
    actions = [action(0, 1, 2), action(1, 20, 31), action(0, 0, 5, video="P01_02")]
    first, second = Untrimmed().records(actions, "here")
    assert (first["start_sec"], first["end_sec"]) == (0.0, 30.0)
    assert first["extra"]["segments"] == [[1, 2, {"verb": 0}], [20, 30.0, {"verb": 1}]]
    assert first["extra"]["participant_id"] == "P01"
    assert first["label"] == {} and first["text"] is None
    assert (first["group"], second["group"]) == ("P01_01", "P01_02")


def test_windows_cover_the_video_and_know_the_actions_about_them() -> None:
    windows = Untrimmed(8.0, 6.0).records([action(0, 1, 2), action(1, 28, 29)], "here")
    assert [one["start_sec"] for one in windows] == [0.0, 6.0, 12.0, 18.0, 22.0]
    assert {one["end_sec"] - one["start_sec"] for one in windows} == {8.0}
    near = [[part[2]["verb"] for part in w["extra"]["segments"]] for w in windows]
    assert near == [[0], [0], [1], [1], [1]]
    assert len({one["id"] for one in windows}) == 5


def test_what_a_window_needs() -> None:
    with pytest.raises(AnnotationError, match="length of the video 'P01_01'"):
        Untrimmed().records([action(0, 1, 2, duration_sec=None)], "here")
    with pytest.raises(AnnotationError, match="has no label"):
        Untrimmed().records([action(0, 1, 2, label={})], "here")
    with pytest.raises(AnnotationError, match="starts at 31 s, and its video has 30"):
        Untrimmed().records([action(0, 31, 33)], "here")
    with pytest.raises(InputError, match="above 0"):
        Untrimmed(-1.0)
    with pytest.raises(InputError, match="without seconds"):
        Untrimmed(stride=1.0)


def test_background_is_the_last_class() -> None:
    assert with_background({"verb": ["cut"]}) == {"verb": ["cut", "background"]}
