"""DD-Net: shapes, gradients, what it does not see, its size."""

import pytest
import torch

from mmfusion.models import DDNet


def build(**options):
    return DDNet(32, **{"num_joints": 6, "num_frames": 16, **options})


@pytest.mark.parametrize(("joints", "hands"), [(6, 2), (17, 1), (2, 1)])
@pytest.mark.parametrize("channels", [2, 3])
def test_any_skeleton(joints, hands, channels):
    model = build(num_joints=joints, num_hands=hands, in_channels=channels)
    out = model(torch.randn(3, 16, joints, channels))
    assert out.tokens.shape == (3, 2, 32) and out.cls.shape == (3, 32)
    (out.cls.sum() + out.tokens.sum()).backward()
    assert all(value.grad is not None for value in model.parameters())


def test_where_the_skeleton_stands_does_not_matter():
    model = build().eval()
    x = torch.randn(1, 16, 6, 3)
    torch.testing.assert_close(
        model(x).cls, model(x + torch.tensor([1.0, 2.0, 3.0])).cls, atol=1e-4, rtol=1e-4
    )


def test_unseen_joints_are_not_read_and_tokens_know():
    model = build().eval()
    x, mask = torch.randn(1, 16, 6, 3), torch.ones(1, 16, 6, dtype=torch.bool)
    mask[:, 8:] = False
    changed = torch.where(mask.unsqueeze(-1), x, 1e9)
    out = model(changed, mask)
    assert torch.equal(out.cls, model(x, mask).cls)
    assert out.mask.tolist() == [[True, False]]


def test_the_size_of_the_lite_model_is_the_papers():
    """0.15 M of its table 3, for 22 joints, without the layer of the classes."""
    model = DDNet(num_joints=22, num_hands=1)
    assert sum(value.numel() for value in model.parameters()) == pytest.approx(
        0.15e6, rel=0.05
    )


def test_a_batch_of_one_can_be_trained():
    assert bool(torch.isfinite(build().train()(torch.randn(1, 16, 6, 3)).cls).all())


@pytest.mark.parametrize(
    "options",
    [
        *(dict(num_frames=12), dict(embed_dims=60), dict(num_joints=7)),
        *(dict(num_joints=0), dict(num_hands=0), dict(num_hands=-1)),
    ],
)
def test_wrong_sizes_are_refused(options):
    with pytest.raises(ValueError, match="multiple"):
        DDNet(**options)


def test_another_input_is_refused():
    with pytest.raises(ValueError, match="skeleton has shape"):
        build()(torch.randn(1, 16, 5, 3))
    with pytest.raises(ValueError, match="skeleton_mask has shape"):
        build()(torch.randn(1, 16, 6, 3), torch.ones(1, 16, dtype=torch.bool))
