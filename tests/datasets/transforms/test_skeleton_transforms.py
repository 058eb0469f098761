"""AlignSkeleton, FlipSkeleton, ProjectSkeleton, NormalizeSkeleton, JitterSkeleton."""

import numpy as np
import pytest

from mmfusion.datasets.transforms import (
    AlignSkeleton,
    FlipSkeleton,
    JitterSkeleton,
    NormalizeSkeleton,
    ProjectSkeleton,
)

CAMERA = dict(fx=100.0, fy=50.0, cx=32.0, cy=24.0, width=64, height=48)


def hands(frame="camera", num=4, views=1):
    rng = np.random.default_rng(0)
    joints = rng.uniform(0.2, 0.8, (views, num // views, 2, 21, 3)).astype(np.float32)
    return dict(
        sample_id="a",
        joints=joints,
        joints_mask=np.ones(joints.shape[:-1], bool),
        joints_frame=frame,
        joints_layout="openpose21",
    )


@pytest.mark.parametrize(("frame", "whole"), [("camera", 0), ("image", 1), ("body", 0)])
def test_flip_mirrors_x_and_swaps_hands(frame, whole):
    before = hands(frame)
    before["joints_mask"][:, :, 1] = False
    old = before["joints"].copy()
    out = AlignSkeleton()({**before, "flip": True, "flip_direction": "horizontal"})
    np.testing.assert_allclose(out["joints"][0, :, 0, :, 0], whole - old[0, :, 1, :, 0])
    np.testing.assert_array_equal(out["joints"][:, :, 1, :, 1:], old[:, :, 0, :, 1:])
    mask = out["joints_mask"]
    assert not mask[:, :, 0].any() and mask[:, :, 1].all()


def test_two_flips_change_nothing():
    before = hands()
    out = FlipSkeleton(flip_prob=1.0)(FlipSkeleton(flip_prob=1.0)(dict(before)))
    np.testing.assert_array_equal(out["joints"], before["joints"])


def test_what_cannot_be_flipped():
    flip = dict(flip=True, flip_direction="horizontal")
    with pytest.raises(ValueError, match="expected 'horizontal'"):
        AlignSkeleton()({**hands(), "flip": True, "flip_direction": "vertical"})
    with pytest.raises(ValueError, match="'world'"):
        AlignSkeleton()({**hands("world"), **flip})
    one = {**hands(), **flip}
    one["joints"] = one["joints"][:, :, :1]
    with pytest.raises(ValueError, match="1 hands; expected 2"):
        AlignSkeleton()(one)
    with pytest.raises(ValueError, match="twice"):
        AlignSkeleton()(AlignSkeleton()(hands()))
    with pytest.raises(ValueError, match="AlignSkeleton"):
        FlipSkeleton()({**hands(), "imgs": []})


def test_crop_moves_image_joints_only():
    crop = dict(
        crop_quadruple=np.array([0.25, 0.5, 0.5, 0.4]),
        imgs=[None] * 4,
        num_clips=1,
        clip_len=4,
    )
    before = hands("image")
    old = before["joints"].copy()
    out = AlignSkeleton(mark_outside=True)({**before, **crop})
    np.testing.assert_allclose(
        out["joints"][..., 0], (old[..., 0] - 0.25) / 0.5, rtol=1e-5
    )
    np.testing.assert_allclose(
        out["joints"][..., 1], (old[..., 1] - 0.5) / 0.4, rtol=1e-5, atol=1e-6
    )
    inside = (old[..., 1] >= 0.5) & (old[..., 0] >= 0.25) & (old[..., 0] < 0.75)
    inside &= old[..., 1] < 0.9
    np.testing.assert_array_equal(out["joints_mask"], inside)
    metric = AlignSkeleton()({**hands("camera"), **crop})
    np.testing.assert_array_equal(metric["joints"], hands("camera")["joints"])
    with pytest.raises(ValueError, match="several crops"):
        AlignSkeleton()({**hands("image"), **crop, "imgs": [None] * 12})


def test_projection_by_hand():
    before = hands(num=1)
    before["joints"][0, 0, 0, 0] = (0.1, -0.2, 0.5)
    before["joints"][0, 0, 0, 1] = (0.1, 0.1, -0.5)  # behind the camera
    out = ProjectSkeleton()({**before, "camera": CAMERA})
    # u = 100 * 0.2 + 32 = 52 of 64, v = 50 * -0.4 + 24 = 4 of 48
    np.testing.assert_allclose(
        out["joints"][0, 0, 0, 0], (52 / 64, 4 / 48, 0.5), rtol=1e-5
    )
    assert out["joints_mask"][0, 0, 0, :2].tolist() == [True, False]
    assert out["joints_frame"] == "image"
    with pytest.raises(ValueError, match="expected 'camera'"):
        ProjectSkeleton()({**out, "camera": CAMERA})
    with pytest.raises(ValueError, match="no camera"):
        ProjectSkeleton()(hands())
    outside = ProjectSkeleton(drop_outside=True)({**hands(), "camera": CAMERA})
    x = outside["joints"][..., 0][outside["joints_mask"]]
    assert len(x) == 0 or x.max() < 1


def test_the_picture_has_its_first_edges_and_not_its_last():
    before = hands()
    at_edges = [(-1, 0, 1), (0, -1, 1), (1, 0, 1), (0, 1, 1)]
    before["joints"][0, 0, 0, :4] = at_edges
    camera = {**CAMERA, "fx": 32.0, "fy": 24.0}  # of a picture of 64 x 48
    out = ProjectSkeleton(drop_outside=True)({**before, "camera": camera})
    found = out["joints"][0, 0, 0, :4, :2].tolist()
    assert found == [[0, 0.5], [0.5, 0], [1, 0.5], [0.5, 1]]
    assert out["joints_mask"][0, 0, 0, :4].tolist() == [True, True, False, False]


def test_wrist_and_first_wrist():
    before = hands()
    old = before["joints"][0].copy()
    before["joints_mask"][0, 0] = [[False], [True]]
    own = NormalizeSkeleton("wrist")(dict(before))["joints"][0]
    np.testing.assert_allclose(own[1:], old[1:] - old[1:, :, :1], rtol=1e-5, atol=1e-6)
    assert not own[0, 0].any()
    first = NormalizeSkeleton("first_wrist", scale=10.0)(dict(before))["joints"][0]
    np.testing.assert_allclose(first[1:], 10 * (old[1:] - old[0, 1, 0]), atol=1e-5)


def test_first_wrist_is_by_view():
    out = NormalizeSkeleton("first_wrist")(hands(views=2))["joints"]
    for view in out:
        np.testing.assert_allclose(view[0, :, 0].mean(axis=0), 0, atol=1e-6)


def test_bone_length_removes_the_unit():
    metres, millimetres = hands(), hands()
    millimetres["joints"] = millimetres["joints"] * 1000
    one = NormalizeSkeleton("bone")(metres)["joints"]
    two = NormalizeSkeleton("bone")(millimetres)["joints"]
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)


def test_nothing_seen_is_zero_and_hold_keeps():
    before = hands()
    before["joints_mask"][:] = False
    for mode in ("none", "wrist", "first_wrist", "bone"):
        for fill in ("zero", "hold"):
            out = NormalizeSkeleton(mode, fill=fill)(dict(before))
            assert not out["joints"].any()
    before["joints_mask"][0, 0, 0] = True
    out = NormalizeSkeleton("none", fill="hold")(dict(before))["joints"]
    np.testing.assert_array_equal(out[:, :, 0], before["joints"][:, :, 0])


def test_wrist_of_other_layouts():
    arms = hands()
    arms["joints"] = arms["joints"][..., :4, :]
    arms["joints_mask"] = arms["joints_mask"][..., :4]
    out = NormalizeSkeleton("wrist")({**arms, "joints_layout": "natops_arm"})
    assert not out["joints"][..., 2, :].any()
    with pytest.raises(ValueError, match="names no layout"):
        NormalizeSkeleton("wrist")({**arms, "joints_layout": None})
    out = NormalizeSkeleton("wrist", wrist=1)({**arms, "joints_layout": None})
    assert not out["joints"][..., 1, :].any()


def test_jitter_keeps_bones_up_to_scale():
    np.random.seed(0)
    before = hands(views=2)
    old = before["joints"].copy()
    out = JitterSkeleton(scale=0.2, rotation=(10, 10, 30), translation=0.1)(before)

    def bones(x):
        return np.linalg.norm(x[..., 1:, :] - x[..., :1, :], axis=-1)

    ratio = bones(out["joints"]) / bones(old)
    for view in ratio:
        assert np.ptp(view) < 1e-4 and 0.8 <= view.mean() <= 1.2
    assert not np.allclose(ratio[0], ratio[1]) and not np.allclose(out["joints"], old)


@pytest.mark.parametrize(
    "transform",
    [
        NormalizeSkeleton("wrist"),
        NormalizeSkeleton("first_wrist"),
        NormalizeSkeleton("bone"),
        NormalizeSkeleton("none"),
        JitterSkeleton(scale=0.2, rotation=30.0, translation=0.1, noise=0.01),
        JitterSkeleton(drop_prob=0.5),
    ],
    ids=["wrist", "first wrist", "bone", "none", "jitter", "drop"],
)
def test_unseen_joints_move_no_seen_one_and_stay_unseen(transform):
    """Most joints of a hand are hidden, in some frames and not in others."""
    mask = np.random.default_rng(1).random((2, 6, 2, 21)) < 0.3
    mask[..., 0] = True  # the wrist
    mask[:, 2] = False
    mask[:, 3, 1] = False
    outputs = []
    hidden = np.random.default_rng(2).normal(size=(2, 6, 2, 21, 3))
    for far in (0.0, 1e4):
        before = hands(num=12, views=2)
        before["joints"] = np.where(mask[..., None], before["joints"], far * hidden)
        np.random.seed(0)
        outputs.append(transform({**before, "joints_mask": mask.copy()}))
    seen = outputs[0]["joints_mask"]
    assert not (seen & ~mask).any() and seen.any()
    np.testing.assert_array_equal(seen, outputs[1]["joints_mask"])
    one, other = (out["joints"][mask] for out in outputs)
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_first_wrist_is_of_the_first_frame_with_any():
    """One wrist of two is seen in frame 1, both in frame 2."""
    before = hands()
    before["joints_mask"][0, 0, :, 0] = before["joints_mask"][0, 1, 1, 0] = False
    out = NormalizeSkeleton("first_wrist")(dict(before))["joints"]
    expected = before["joints"][0, 3, 0] - before["joints"][0, 1, 0, 0]
    np.testing.assert_allclose(out[0, 3, 0], expected, atol=1e-6)


def test_a_joint_on_the_edge_of_a_crop():
    """Inside from 0 on and below 1; what was unseen stays unseen."""
    before = hands("image", num=1)
    places = [(0.25, 0.5), (0.75, 0.5), (0.5, 1.0), (0.5, 0.75), (0.5, 0.8)]
    before["joints"][0, 0, 0, :5, :2] = places
    before["joints_mask"][0, 0, 0, 4] = False
    crop = dict(
        crop_quadruple=np.array([0.25, 0.5, 0.5, 0.5]),
        imgs=[None],
        num_clips=1,
        clip_len=1,
    )
    out = AlignSkeleton(mark_outside=True)({**before, **crop})
    expected = [True, False, False, True, False]
    assert out["joints_mask"][0, 0, 0, :5].tolist() == expected


def test_jitter_noise_and_drop():
    np.random.seed(0)
    same = JitterSkeleton()(hands())
    np.testing.assert_allclose(same["joints"], hands()["joints"], atol=1e-6)
    out = JitterSkeleton(noise=0.01, drop_prob=0.5)(hands(num=200))
    assert 0.3 < out["joints_mask"].mean() < 0.7
    rare = JitterSkeleton(drop_prob=0.1)(hands(num=200))["joints_mask"]
    assert 0.8 < rare.mean() < 0.99
    assert (rare.all(axis=-1) | ~rare.any(axis=-1)).all()  # whole hands
    assert 0.005 < np.std(out["joints"] - hands(num=200)["joints"]) < 0.02


def test_hands_are_dropped_in_runs():
    np.random.seed(0)
    jitter = JitterSkeleton(drop_prob=0.2, drop_run=6)
    kept = jitter(hands(num=4000))["joints_mask"][0, :, :, 0]  # (n, h)
    lost = ~kept
    begins = lost[1:] & kept[:-1]
    assert 0.17 < lost.mean() < 0.23
    assert 5 < lost.sum() / begins.sum() < 7
    assert abs(np.corrcoef(lost.T)[0, 1]) < 0.1  # each hand by itself
    alone = JitterSkeleton(drop_prob=0.2)(hands(num=4000))["joints_mask"][0, :, 0, 0]
    assert (~alone).sum() / (~alone[1:] & alone[:-1]).sum() < 1.4


def test_missing_skeleton_passes_through():
    for transform in (
        AlignSkeleton(),
        FlipSkeleton(1.0),
        ProjectSkeleton(),
        NormalizeSkeleton(),
        JitterSkeleton(),
    ):
        assert transform({"sample_id": "a"}) == {"sample_id": "a"}


@pytest.mark.parametrize(
    ("transform", "options"),
    [
        (NormalizeSkeleton, dict(mode="mean")),
        (NormalizeSkeleton, dict(fill="nan")),
        (NormalizeSkeleton, dict(scale=0)),
        (JitterSkeleton, dict(scale=1.0)),
        (JitterSkeleton, dict(noise=-1)),
        (JitterSkeleton, dict(rotation=(1, 2))),
        (JitterSkeleton, dict(drop_prob=1.0)),
        (JitterSkeleton, dict(drop_run=0.5)),
        (JitterSkeleton, dict(drop_run=float("nan"))),
        (JitterSkeleton, dict(noise=float("nan"))),
        (JitterSkeleton, dict(rotation=float("nan"))),
        (JitterSkeleton, dict(drop_prob=0.8, drop_run=2)),
        (FlipSkeleton, dict(flip_prob=2)),
    ],
)
def test_wrong_options(transform, options):
    with pytest.raises(ValueError, match="expected"):
        transform(**options)
