import pytest
import torch

from mmfusion.models import SkeletonMamba
from tests.models.recomputing import assert_recomputes


def build(**options):
    return SkeletonMamba(arch="nano", **{"num_frames": 6, **options}).eval()


@pytest.mark.parametrize(
    ("tokens", "count"), [("frame", 6), ("hand", 12), ("joint", 252)]
)
def test_what_becomes_a_token(tokens, count):
    out = build(tokens=tokens)(torch.randn(2, 6, 42, 3))
    assert out.tokens.shape == (2, count, 64) and out.cls.shape == (2, 64)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_cls_token_sees_every_frame(bidirectional):
    model = build(bidirectional=bidirectional)
    x = torch.randn(1, 6, 42, 3)
    for frame in (0, -1):
        changed = x.clone()
        changed[:, frame] += 1
        assert not torch.equal(model(x).cls, model(changed).cls)


def test_recomputing_changes_nothing_and_keeps_less():
    model = build(tokens="hand", num_frames=32, drop_path_rate=0.3)
    assert_recomputes(model, torch.randn(4, 32, 42, 3))


def test_unseen_joints_are_not_read():
    model = build(with_motion=True)
    x, mask = torch.randn(1, 6, 42, 3), torch.ones(1, 6, 42, dtype=torch.bool)
    mask[:, 2:4, 21:] = False
    changed = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e9))
    assert torch.equal(model(x, mask).cls, model(changed, mask).cls)
    assert not torch.equal(model(x, mask).cls, model(x).cls)


def test_mask_of_tokens():
    mask = torch.ones(1, 6, 42, dtype=torch.bool)
    mask[:, 1, :21] = False
    mask[:, 5] = False
    out = build(tokens="hand")(torch.randn(1, 6, 42, 3), mask)
    expected = [True, True, False, True] + [True] * 6 + [False, False]
    assert out.mask[0].tolist() == expected


@pytest.mark.parametrize(
    "options",
    [dict(arch="x"), dict(tokens="finger"), dict(num_joints=43)],
    ids=["arch", "tokens", "joints"],
)
def test_wrong_arguments_raise(options):
    with pytest.raises(ValueError, match="expected one of|multiple"):
        SkeletonMamba(**{"arch": "nano", **options})


def test_wrong_inputs_raise():
    with pytest.raises(ValueError, match="skeleton has shape"):
        build()(torch.randn(1, 6, 21, 3))
    with pytest.raises(ValueError, match="skeleton_mask"):
        build()(torch.randn(1, 6, 42, 3), torch.ones(1, 6, 2, dtype=torch.bool))
