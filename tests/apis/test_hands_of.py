"""Hands of a clip for models that read two, or one of either side."""

import pytest

from mmfusion.apis.hands_of import EXTRACT, HandFinder
from mmfusion.apis.sources import Clip
from mmfusion.datasets.media.video_io import open_video
from mmfusion.hands import ONE_HAND_SKELETON, SKELETON
from tests.hands.fakes import BrightHands
from tests.video_files import write_video


@pytest.mark.parametrize(
    ("skeleton", "valid"),
    [(SKELETON, [False, True]), (ONE_HAND_SKELETON, [True])],
    ids=["two", "one"],
)
def test_hands_found_in_frames_are_those_that_the_model_reads(
    tmp_path, skeleton, valid
):
    video = write_video(tmp_path / "a.mp4", 3)
    clip = Clip("a", 0.0, 0.3, {"video_path": str(video)})
    find = HandFinder(skeleton, BrightHands())
    found = find(clip, EXTRACT)
    assert found.data is not None and found.data.valid.tolist() == [valid] * 3
    given = find(clip, BrightHands()(open_video(video).stream()))
    assert given.data is not None and given.data.valid.tolist() == [valid] * 3
