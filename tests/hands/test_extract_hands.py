"""The transform in place of LoadSkeleton."""

import numpy as np
import pytest

from mmfusion.hands import ExtractHands
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError
from tests.hands.fakes import BrightHands
from tests.video_files import write_video


def test_joints_of_the_wanted_times(tmp_path):
    video = write_video(tmp_path / "a.mp4", 10)
    times = np.array([[0.05, 0.45, 0.45], [0.95, 0.05, 0.25]])
    hands = BrightHands()
    results = dict(times={"skeleton": times}, video_path=str(video))
    results = ExtractHands(extractor=hands).transform(results)
    joints, mask = results["joints"], results["joints_mask"]
    assert joints.shape == (2, 3, 2, 21, 3) and mask.shape == (2, 3, 2, 21)
    assert len(hands.shapes) == 4  # each moment is looked at once
    frame = (joints[:, :, 1, 0, 0] * 255 - 20) / 4
    np.testing.assert_allclose(frame, [[0, 4, 4], [9, 0, 2]], atol=0.6)
    assert mask[:, :, 1].all() and not mask[:, :, 0].any()
    assert results["joints_hands"] == ["left", "right"]
    assert (results["joints_frame"], results["joints_layout"]) == ("image", "mediapipe")


def test_one_hand_of_either_side(tmp_path):
    video = write_video(tmp_path / "a.mp4", 4)
    results = dict(times={"skeleton": np.array([[0.05, 0.25]])}, video_path=str(video))
    find = ExtractHands(extractor=BrightHands(), one_hand=True)
    results = find.transform(results)
    assert results["joints"].shape == (1, 2, 1, 21, 3)
    assert results["joints_mask"].all()
    assert results["joints_hands"] == ["hand"] and results["num_hands"] == 1


def test_it_is_found_by_its_name():
    assert TRANSFORMS.get("ExtractHands") is ExtractHands


def test_sample_without_a_video():
    with pytest.raises(InputError, match="'s1' has no video"):
        ExtractHands(extractor=BrightHands()).transform(
            dict(times={"skeleton": np.zeros((1, 2))}, sample_id="s1")
        )
