"""FrameViT against figures of timm 0.4.12's ViT, which AVT-b runs."""

import pytest
import torch

from mmfusion.models import FrameViT
from tests.models.backbones.generated_weights import drawn, fill_by_rule
from tests.tolerances import FORWARD

TIMM = [
    [0.2062466, 0.1565400, -0.1279297, -0.6796585, 1.8976907, 0.5214306],
    [-0.3476674, -0.3216118, -0.2067917, 0.4612786, 1.4864548, -0.5987805],
]


def test_features_are_timms_and_frames_are_read_apart():
    model = FrameViT("nano", img_size=32, num_frames=3).eval()
    fill_by_rule(model)
    mask = torch.tensor([[True, True, False]] * 2)
    out = model(drawn("clip", (2, 3, 3, 32, 32)), mask)
    assert out.tokens.shape == (2, 3, 64) and out.cls is None and out.mask is mask
    expected = torch.tensor(TIMM)
    torch.testing.assert_close(
        out.tokens[:, -1, :6], expected, **FORWARD[torch.float32]
    )
    out.tokens.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_size_is_timms():
    with torch.device("meta"):
        model = FrameViT()
    assert sum(p.numel() for p in model.parameters()) == 85_798_656


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="expected"):
        FrameViT("huge")
    with pytest.raises(ValueError, match="multiple of 16"):
        FrameViT("nano", img_size=30)
    with pytest.raises(ValueError, match="multiple of 16"):
        FrameViT("nano", img_size=0)
