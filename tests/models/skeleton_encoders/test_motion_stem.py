"""The stem of motion and distances: views by hand, invariances, gradients."""

import pytest
import torch

from mmfusion.models import SkeletonMamba
from mmfusion.models.skeleton_encoders.motion_stem import PARTS, MotionStem


def build(**options):
    sizes = dict(num_joints=6, num_hands=2, num_frames=8)
    return SkeletonMamba("nano", **{**sizes, "stem": "motion", **options})


@pytest.mark.parametrize(
    ("joints", "hands", "channels"), [(6, 2, 3), (40, 2, 2), (17, 1, 3), (1, 1, 2)]
)
def test_any_skeleton(joints, hands, channels):
    model = build(
        num_joints=joints, num_hands=hands, in_channels=channels, readout="pool"
    )
    out = model(torch.randn(3, 8, joints, channels))
    assert out.tokens.shape == (3, 4, 64) and out.cls.shape == (3, 64)
    (out.cls.sum() + out.tokens.sum()).backward()
    named = dict(model.named_parameters())
    assert [name for name, value in named.items() if value.grad is None] == []


@pytest.mark.parametrize("readout", ["cls", "pool"])
def test_a_batch_of_one_can_be_trained(readout):
    out = build(readout=readout).train()(torch.randn(1, 8, 6, 3))
    assert bool(torch.isfinite(out.cls).all())


VOTES = ("scan", "stem", "dd_net")


def test_the_vector_is_the_mean_of_the_votes():
    model = build(readout="pool", votes=VOTES).eval()
    pool = build(readout="pool").eval()
    assert not pool.load_state_dict(model.state_dict(), strict=False).missing_keys
    x = torch.randn(2, 8, 6, 3)
    before = model.stem(x) + model.pos_embed[:, 1:] + model.temporal_pos_embedding
    stem = model.stem_readout(before)
    conv = model.dd_net_proj(model.dd_net(x).cls)
    out = model(x)
    torch.testing.assert_close(out.tokens, pool(x).tokens)
    torch.testing.assert_close(out.cls, (pool(x).cls + stem + conv) / 3)
    assert out.votes is None and model.train()(x).votes.shape == (2, 3, 64)


def test_votes_of_one_joint_and_wrong_ones():
    one = build(num_joints=1, num_hands=1, readout="pool", votes=VOTES)
    assert one.votes == ["scan", "stem"]
    with pytest.raises(ValueError, match="expected 'scan' and others"):
        build(readout="pool", votes=["stem"])
    with pytest.raises(ValueError, match="readout='pool'"):
        build(votes=VOTES)
    with pytest.raises(ValueError, match="a multiple of 8"):
        build(readout="pool", votes=VOTES, num_frames=12)


def test_views_do_not_depend_on_place_or_scale_but_the_places():
    stem = MotionStem(16, num_joints=6, num_hands=2)
    x = torch.randn(2, 8, 6, 3)
    plain, moved, larger = stem.views(x), stem.views(x + 5), stem.views(3 * x)
    for part in ("pose", "slow", "fast", "distance"):
        torch.testing.assert_close(moved[part], plain[part], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(larger["pose"], plain["pose"])
    assert not torch.equal(moved["place"], plain["place"])


def test_pairs_of_many_joints_are_those_of_each_hand():
    few = MotionStem(16, num_joints=32, num_hands=2).views(torch.randn(1, 4, 32, 3))
    many = MotionStem(16, num_joints=42, num_hands=2).views(torch.randn(1, 4, 42, 3))
    assert few["distance"].shape[-1] == 32 * 31 // 2
    assert many["distance"].shape[-1] == 2 * 21 * 20 // 2 + 1


def test_unseen_joints_are_not_read_and_tokens_know():
    model = build(readout="pool").eval()
    x, mask = torch.randn(1, 8, 6, 3), torch.ones(1, 8, 6, dtype=torch.bool)
    mask[:, 2:4] = False
    changed = torch.where(mask.unsqueeze(-1), x, 1e9)
    out = model(changed, mask)
    assert torch.equal(out.cls, model(x, mask).cls)
    assert out.mask.tolist() == [[True, False, True, True]]


def test_parts_can_be_left_out():
    model = build(stem_parts=("slow", "distance"), stem_pool=1, stem_width=8)
    assert [*model.stem.embeds] == ["slow", "distance"]
    assert model(torch.randn(2, 8, 6, 3)).tokens.shape == (2, 8, 64)
    assert set(PARTS) > {"slow", "distance"}


@pytest.mark.parametrize(
    "options",
    [
        dict(stem="conv"),
        dict(readout="mean"),
        dict(stem_parts=("place", "angle")),
        dict(stem_parts=()),
        dict(num_frames=9),
        dict(num_frames=0),
        dict(num_hands=0),
        dict(num_joints=0),
        dict(in_channels=0),
        dict(stem_width=0),
        dict(stem_drop_rate=float("nan")),
        dict(stem_parts=("distance",), num_joints=1, num_hands=1),
        dict(tokens="hand"),
        dict(with_motion=True),
    ],
    ids=lambda options: next(iter(options)),
)
def test_wrong_arguments_raise(options):
    with pytest.raises(ValueError, match="expected|is for"):
        build(**options)


def test_what_was_constant_in_training_may_change():
    """Joints that never moved have no variance; one unseen is no outlier."""
    stem = build().eval().stem
    x, mask = torch.randn(1, 8, 6, 3), torch.ones(1, 8, 6, dtype=torch.bool)
    usual = stem(x, mask).abs().max()
    for norm in stem.norms.values():
        norm.running_var.zero_()
    mask[:, 3:5] = False
    assert stem(x, mask).abs().max() < 20 * usual


def test_a_single_frame_of_one_clip_is_trained_on():
    """Nothing moves in it, and a batch of one value has no variance."""
    model = build(num_frames=1, stem_pool=1, readout="pool").train()
    features = model(torch.randn(1, 1, 6, 3))
    assert features.tokens.shape[1] == 1
    assert bool(torch.isfinite(features.cls).all())
