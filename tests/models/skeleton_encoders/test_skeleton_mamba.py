import sys

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


@pytest.mark.parametrize("bidirectional", [True, False])
def test_positions_by_hand(bidirectional, monkeypatch):
    """Frame by frame; time is added to joints, never to the CLS token."""
    module = sys.modules[SkeletonMamba.__module__]
    monkeypatch.setattr(module, "forward_blocks", lambda x, *_: x)
    model = build(tokens="hand", bidirectional=bidirectional)
    with torch.no_grad():
        model.joint_embed.weight.zero_()
        model.cls_token.fill_(0.5)
        model.temporal_pos_embedding.copy_(torch.arange(6.0).view(1, 6, 1) + 1)
        model.pos_embed.copy_(10 * torch.arange(3.0).view(1, 3, 1) + 100)
    out = model(torch.zeros(1, 6, 42, 3))
    assert out.cls[0, 0] == 100.5
    assert out.tokens[0, :4, 0].tolist() == [111, 121, 112, 122]


def test_what_a_token_reads_by_hand():
    """Joints one after the other: place, seen or not, step between two seen ones."""
    model = build(num_joints=4, in_channels=1, tokens="hand", with_motion=True)
    x = torch.arange(24.0).view(1, 6, 4, 1) ** 2
    mask = torch.ones(1, 6, 4, dtype=torch.bool)
    mask[0, 1, 2] = False  # one joint of the second hand, in one frame
    rows = model._joint_features(x, mask.float())[0]  # (t, 2, 6)
    assert rows[0].tolist() == [[0, 1, 0, 1, 1, 0], [4, 1, 0, 9, 1, 0]]
    assert rows[1].tolist() == [[16, 1, 16, 25, 1, 24], [0, 0, 0, 49, 1, 40]]
    assert rows[2, 1].tolist() == [100, 1, 0, 121, 1, 72]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("frame", [True, True, False]),
        ("hand", [True, True, True, False, False, False]),
        ("joint", [False, True, True, True, True, False] + [False] * 6),
    ],
)
def test_a_token_is_real_where_a_joint_was_seen(tokens, expected):
    model = build(num_joints=4, tokens=tokens, num_frames=3)
    mask = torch.zeros(1, 3, 4, dtype=torch.bool)
    mask[0, 0, 1:] = mask[0, 1, 0] = True
    assert model(torch.randn(1, 3, 4, 3), mask).mask[0].tolist() == expected


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
