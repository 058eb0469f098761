"""A video scored as a stream and by a window that ends at every moment."""

import pytest
import torch

from mmfusion.analysis.online_detection import (
    OnlineResult,
    grid_of,
    stream_scores,
    window_scores,
)
from mmfusion.models.recognizers.multimodal_recognizer import MultiModalRecognizer
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError


class Sums(torch.nn.Module):
    """Causal: token i is the sum of the joints up to frame i."""

    embed_dims = 3

    def forward(self, x, mask=None):
        return TokenFeatures(x[:, :, 0].cumsum(1))


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setitem(MODELS.module_dict, "Sums", Sums)

    def make(neck):
        head = dict(
            type="ClassificationHead", num_classes=3, in_dims=3, init_std=1.0
        )  # fmt: skip
        return MultiModalRecognizer(
            dict(skeleton=dict(type="Sums")), dict(verb=head), neck=neck
        )

    return make


def test_a_window_sees_no_more_than_its_moments(make) -> None:
    model = make(dict(type="EveryMoment", stream="skeleton"))
    joints = torch.randn(1, 1, 70, 2, 3)  # more windows than one batch
    found = window_scores(model, {"skeleton": joints}, 4)["verb"]
    whole = stream_scores(model, {"skeleton": joints})["verb"]
    assert found.shape == whole.shape == (70, 3)
    torch.testing.assert_close(found[:4], whole[:4])  # the first window
    for moment in (4, 40, 69):
        part = joints[:, :, moment - 3 : moment + 1]
        alone = stream_scores(model, {"skeleton": part})["verb"][-1]
        torch.testing.assert_close(found[moment], alone)
    torch.testing.assert_close(
        window_scores(model, {"skeleton": joints}, 99)["verb"], whole
    )


def test_a_model_of_clips_has_no_moments(make) -> None:
    with pytest.raises(InputError, match="scores clips"):
        stream_scores(make(None), {"skeleton": torch.randn(1, 1, 5, 2, 3)})


def test_a_column_for_each_way() -> None:
    found = [OnlineResult(name, {"verb/frame_mAP": 50.126}) for name in "ab"]
    grid = grid_of(found, "here")
    assert grid.head[1:] == ["a", "b"]
    assert grid.rows == [["verb/frame_mAP", "50.13", "50.13"]]
