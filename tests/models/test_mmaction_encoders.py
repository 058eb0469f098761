"""MMAction2's networks as encoders, by the ``mmaction.`` prefix."""

import pytest
import torch

from mmfusion.models import MMActionBackbone, MMActionSkeleton, MultiModalRecognizer
from mmfusion.registry import MODELS

CHAIN = dict(num_node=21, inward=[(j, j - 1) for j in range(1, 21)], center=0)
STGCN = dict(
    type="mmaction.STGCN",
    graph_cfg=dict(layout=CHAIN, mode="stgcn_spatial"),
    base_channels=8,
    num_stages=2,
    inflate_stages=[],
    down_stages=[],
)
X3D = dict(type="mmaction.X3D", gamma_w=1, gamma_b=2.25, gamma_d=2.2)


def test_stgcn_gives_one_token_a_frame():
    encoder = MMActionSkeleton(STGCN, embed_dims=8)
    mask = torch.ones(2, 5, 42, dtype=torch.bool)
    mask[1] = False
    out = encoder(torch.randn(2, 5, 42, 3), mask)
    assert out.tokens.shape == (2, 5, 8) and out.cls is None
    assert out.present.tolist() == [True, False]


def test_x3d_gives_one_token_a_place():
    encoder = MMActionBackbone(X3D, embed_dims=432)
    out = encoder(torch.randn(1, 3, 4, 32, 32))
    assert out.tokens.shape == (1, 4, 432) and out.summary.shape == (1, 432)


def test_wrong_width_is_named():
    with pytest.raises(ValueError, match="gives width 8, embed_dims says 9"):
        MMActionSkeleton(STGCN, embed_dims=9)(torch.randn(1, 5, 42, 3))
    with pytest.raises(ValueError, match="skeleton has 21 joints, expected a multiple"):
        MMActionSkeleton(STGCN, embed_dims=8)(torch.randn(1, 5, 21, 3))


def test_both_fused_in_one_recognizer():
    model = MultiModalRecognizer(
        encoders={
            "video": dict(type="MMActionBackbone", backbone=X3D, embed_dims=432),
            "skeleton": dict(type="MMActionSkeleton", backbone=STGCN, embed_dims=8),
        },
        neck=dict(
            type="CLSMixFusion",
            mix=dict(type="WeightedMix"),
            embed_dims=16,
            in_dims={"video": 432, "skeleton": 8},
        ),
        heads={"action": dict(type="ClassificationHead", num_classes=3, in_dims=16)},
    )
    inputs = dict(
        video=torch.randn(2, 1, 3, 4, 32, 32), skeleton=torch.randn(2, 1, 5, 42, 3)
    )
    logits = model(inputs)["action"]
    assert logits.shape == (2, 3)
    logits.sum().backward()
    assert model.encoders["skeleton"].backbone.gcn[0].gcn.conv.weight.grad.abs().any()


@pytest.mark.parametrize("name", ["AAGCN", "TimeSformer", "MViT", "ResNet3dSlowFast"])
def test_others_resolve(name):
    assert MODELS.get(f"mmaction.{name}") is not None
