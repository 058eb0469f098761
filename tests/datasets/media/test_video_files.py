"""The videos of a folder."""

import pytest

from mmfusion.datasets.media.video_files import find_videos


def test_videos_come_in_order_from_every_folder_but_hidden_ones(tmp_path):
    for name in ("b/2.MP4", "a.webm", "b/1.mp4", ".trash/3.mp4", ".4.mp4", "note.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    names = [path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path)]
    assert names == ["a.webm", "b/1.mp4", "b/2.MP4"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        find_videos(tmp_path / "nothing")
