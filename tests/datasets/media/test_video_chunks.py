"""A folder of chunks: which file a second is in, and what may lie there."""

import numpy as np
import pytest

from mmfusion.datasets.media.video_chunks import ChunkedVideo
from mmfusion.utils.errors import VideoDecodeError
from mmfusion.utils.paths import UnsafePathError
from tests.video_files import number_of, write_video


def test_seconds_of_the_whole_and_a_missing_chunk(tmp_path):
    for start in (0, 1):
        write_video(tmp_path / f"{start}.MP4", 10)
    video = ChunkedVideo(str(tmp_path), 1.0)
    frames = video.frames_at(np.array([1.25, 0.35, 2.0 - 1e-6]))
    assert [number_of(frame) for frame in frames] == [2, 3, 9]
    with pytest.raises(VideoDecodeError, match=r"2\.MP4 is missing"):
        video.frames_at(np.array([2.5]))


def test_a_chunk_that_is_a_link_stays_inside_the_roots(tmp_path):
    folder, secret = tmp_path / "data" / "a.MP4", tmp_path / "secret"
    for made in (folder, secret):
        made.mkdir(parents=True)
    write_video(secret / "0.MP4")
    (folder / "0.MP4").symlink_to(secret / "0.MP4")
    roots = [str(tmp_path / "data")]
    with pytest.raises(UnsafePathError, match=r"0\.MP4.*leads out of.*link_roots"):
        ChunkedVideo(str(folder), 15, roots=roots).frames_at(np.array([0.3]))
    video = ChunkedVideo(str(folder), 15, roots=[*roots, str(secret)])
    assert number_of(video.frames_at(np.array([0.35]))[0]) == 3
