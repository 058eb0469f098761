"""Normalised video by hand, and what is refused."""

import pytest
import torch

from mmfusion.models.recognizers.multimodal_preprocessor import MultiModalPreprocessor


def test_each_channel_has_its_own_mean_and_deviation() -> None:
    model = MultiModalPreprocessor(mean=(1, 2, 3), std=(2, 4, 8))
    video = torch.full((1, 1, 3, 2, 4, 4), 11, dtype=torch.uint8)
    given = {"inputs": {"video": video, "text": torch.ones(1, 1, 2)}}
    given["inputs"]["whole_video"] = video
    out = model(given)["inputs"]
    assert out["video"].shape == video.shape and out["video"].dtype == torch.float32
    assert out["video"][0, 0, :, 0, 0, 0].tolist() == [5.0, 2.25, 1.0]
    assert torch.equal(out["whole_video"], out["video"])
    assert torch.equal(out["text"], given["inputs"]["text"])


def test_floats_are_refused() -> None:
    video = torch.zeros(1, 1, 3, 2, 4, 4)
    with pytest.raises(ValueError, match="expected torch.uint8"):
        MultiModalPreprocessor()({"inputs": {"video": video}})
