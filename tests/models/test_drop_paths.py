"""Drop path of every model: its rates block by block, and what a drop leaves."""

import pytest
import torch
from mmcv.cnn.bricks import DropPath
from torch import nn

from mmfusion.models import (
    CLIPTimeSformer,
    CLIPViT,
    CLSMixFusion,
    Motionformer,
    ORViT,
    SkeletonMamba,
    TransformerFusion,
    VideoMamba,
)
from mmfusion.models.backbones.clip_timesformer import SpaceTimeBlock
from mmfusion.models.backbones.clip_vit import ResidualAttentionBlock
from mmfusion.models.backbones.motionformer import TrajectoryBlock
from mmfusion.models.layers import MambaBlock, forward_blocks
from mmfusion.models.necks.transformer_fusion import TransformerBlock
from tests.models.backbones.generated_weights import fill_by_rule

NANO = dict(arch="nano", img_size=32, num_frames=4, drop_path_rate=0.3)
MIX = dict(type="AverageMix")
SMALL = dict(num_heads=2, num_positions=8, drop_path_rate=0.3)
THIRDS = [0.0, 0.1, 0.2, 0.3]
# the first Mamba block has no branch before it; the last rate is the final add's
MAMBA = [0.0, *THIRDS]
RATES = {
    "VideoMamba": (lambda: VideoMamba(**NANO), MAMBA),
    "SkeletonMamba": (
        lambda: SkeletonMamba("nano", num_frames=4, drop_path_rate=0.3),
        MAMBA,
    ),
    "CLS mix": (
        lambda: CLSMixFusion(MIX, 16, num_blocks=4, drop_path_rate=0.3),
        MAMBA,
    ),
    "CLS mix, one block": (
        lambda: CLSMixFusion(MIX, 16, drop_path_rate=0.3),
        [0.0, 0.3],
    ),
    "CLIPViT": (lambda: CLIPViT(**NANO), [0.3] * 2),  # the same for all blocks
    "CLIPTimeSformer": (lambda: CLIPTimeSformer(**NANO), [0.0, 0.3]),
    "Motionformer": (lambda: Motionformer(**NANO), [0.0, 0.15, 0.3]),
    "ORViT": (lambda: ORViT(**NANO), [0.0, 0.0, 0.3]),  # an object block has none
    "Transformer fusion": (
        lambda: TransformerFusion(16, depth=4, **SMALL),
        THIRDS,
    ),
    "Transformer fusion, one block": (
        lambda: TransformerFusion(16, depth=1, **SMALL),
        [0.0],
    ),
}


def rates_of(model):
    """The rates in the order of the blocks, the model's own last; 0 for none."""
    found = {
        name: getattr(module, "drop_prob", 0.0)
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == "drop_path"
    }
    own = [found.pop("drop_path")] if "drop_path" in found else []
    return [*found.values(), *own]


@pytest.mark.parametrize("name", RATES)
def test_rates_block_by_block(name):
    build, expected = RATES[name]
    assert rates_of(build()) == pytest.approx(expected)


@pytest.mark.parametrize(
    "kind", [VideoMamba, CLIPViT, CLIPTimeSformer, Motionformer, ORViT, SkeletonMamba]
)
def test_by_default_nothing_is_dropped_or_recomputed(kind):
    model = kind("nano")
    assert set(rates_of(model)) == {0.0} and not model.with_cp
    assert not any(m.p for m in model.modules() if isinstance(m, nn.Dropout))


class _Dropped(DropPath):
    """Drops the branch of every sample."""

    def forward(self, x):
        return torch.zeros_like(x)


BLOCKS = {
    "space and time": (lambda: SpaceTimeBlock(16, 2, 0.5), (2,)),
    "CLIP": (lambda: ResidualAttentionBlock(16, 2, "gelu", 0.5), ()),
    "trajectory": (lambda: TrajectoryBlock(16, 2, 0.5, True), (2,)),
    "fusion": (lambda: TransformerBlock(16, 2, 0.0, 0.5), ()),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_dropped_branches_leave_the_input(name):
    build, more = BLOCKS[name]
    block = build()
    block.drop_path = _Dropped()
    x = torch.randn(2, 5, 16)
    assert torch.equal(block(x, *more), x)


def test_a_mamba_block_drops_the_branch_before_it():
    blocks = nn.ModuleList(MambaBlock(nn.Identity(), 4, 0.5) for _ in range(2))
    fill_by_rule(blocks, scale=1.0)
    norm = nn.RMSNorm(4, eps=1e-5)
    x = torch.randn(2, 3, 4)
    blocks[0].drop_path, blocks[1].drop_path = nn.Identity(), _Dropped()
    expected = norm(x + blocks[1].norm(x))  # without block 0's result
    y = forward_blocks(x, blocks, norm, nn.Identity())
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(forward_blocks(x, blocks, norm, _Dropped()), norm(x))
