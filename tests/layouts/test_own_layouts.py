"""Layouts that an annotation describes: bodies, hands of 20 joints, 2-D and 3-D."""

import numpy as np
import pytest

from mmfusion.datasets.annotation import check_metainfo
from mmfusion.datasets.caches.skeleton_cache import (
    load_skeleton_file,
    write_skeleton_cache,
)
from mmfusion.datasets.transforms import (
    FlipSkeleton,
    JitterSkeleton,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    ProjectSkeleton,
)
from mmfusion.layouts.hand_layouts import LAYOUTS, layout_of
from mmfusion.layouts.skeleton_arrays import SkeletonKind, check_skeleton
from mmfusion.utils.errors import AnnotationError, SkeletonError
from mmfusion.visualization import draw_hands

BODY = {
    "layout": "body5",
    "joints": ["hip", "left_hand", "right_hand", "left_foot", "right_foot"],
    "bones": [[0, 1], [0, 2], [0, 3], [0, 4]],
    "wrist": 0,
    "mirror": [[1, 2], [3, 4]],
    "hands": ["body"],
    "unit": "px",
    "frame": "image",
    "dims": 2,
}


def metainfo(skeleton):
    head = {"version": 1, "dataset": "own", "classes": {"action": ["a"]}}
    return check_metainfo({**head, "skeleton": skeleton}, "ann.json")


def body(num=3):
    """(1, n, 1, 5, 3) joints of a body in pixels, in the plane."""
    joints = np.random.default_rng(0).uniform(0, 500, (1, num, 1, 5, 3))
    joints[..., 2] = 0
    return dict(
        joints=joints.astype(np.float32),
        joints_mask=np.ones(joints.shape[:-1], bool),
        joints_frame="pixels",
        joints_layout=layout_of(BODY),
        joints_hands=["body"],
        joints_dims=2,
    )


def test_a_described_layout():
    layout = layout_of(BODY)
    assert layout.num_joints == 5 and layout.wrist == 0
    assert layout.bones[1] == (0, 2) and layout.mirror == ((1, 2), (3, 4))
    assert layout_of({"layout": "mediapipe"}) is LAYOUTS["mediapipe"]
    assert layout_of({"layout": "mediapipe", "mirror": []}).mirror == ()
    assert layout_of({"layout": "kinect"}) is None and layout_of(None) is None
    assert layout_of({"num_joints": 7}).num_joints == 7
    assert metainfo(BODY)["skeleton"] == BODY


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "h2o"}, "joints is .* beside the layout 'h2o'"),
        ({"num_joints": 6}, "num_joints is 6 but joints has 5"),
        ({"bones": [[0, 5]]}, r"bones has joint 5; expected 0\.\.4"),
        ({"bones": [[0]]}, r"skeleton\.bones\.0: "),
        ({"wrist": 9}, "wrist has joint 9"),
        ({"wrist": "hip"}, r"skeleton\.wrist: "),
        ({"mirror": [[1, 2], [2, 3]]}, "each joint in one pair"),
        ({"joints": ["a", "a"]}, "a name comes twice"),
        ({"joints": None}, "bones is given without joints"),
        ({"dims": 4}, r"skeleton\.dims: "),
        ({"unit": "inch"}, r"skeleton\.unit: "),
    ],
)
def test_what_contradicts_itself_names_its_key(change, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        metainfo({**BODY, **change})
    assert "\n" not in str(caught.value)


def test_a_body_in_a_mirror():
    before = body()
    out = FlipSkeleton(1.0)(dict(before))["joints"]
    old = before["joints"]
    np.testing.assert_array_equal(out[..., 1, 0], -old[..., 2, 0])
    np.testing.assert_array_equal(out[..., 1, 1:], old[..., 2, 1:])
    np.testing.assert_array_equal(out[..., 0, 1:], old[..., 0, 1:])
    twice = FlipSkeleton(1.0)(FlipSkeleton(1.0)(dict(before)))["joints"]
    np.testing.assert_array_equal(twice, old)
    blind = {**before, "joints_layout": layout_of({**BODY, "mirror": None})}
    with pytest.raises(ValueError, match=r"1 hands \(body\).*skeleton.mirror"):
        FlipSkeleton(1.0)(blind)


def test_one_hand_stays_and_two_named_hands_change_places():
    joints = np.random.default_rng(0).normal(size=(1, 2, 2, 20, 3))
    mask = np.ones(joints.shape[:-1], bool)
    mask[:, :, 0, 3] = False
    own = layout_of({"layout": "glove", "num_joints": 20, "wrist": 0, "mirror": []})
    two = dict(joints=joints, joints_mask=mask, joints_frame="camera")
    two.update(joints_layout=own, joints_hands=["right_hand", "left_hand"])
    out = FlipSkeleton(1.0)(dict(two))
    np.testing.assert_array_equal(out["joints"][:, :, 1, :, 1:], joints[:, :, 0, :, 1:])
    assert not out["joints_mask"][:, :, 1, 3].any()
    persons = FlipSkeleton(1.0)({**two, "joints_hands": ["anna", "bob"]})
    np.testing.assert_array_equal(persons["joints"][..., 0], -joints[..., 0])
    one = {**two, "joints": joints[:, :, :1], "joints_mask": mask[:, :, :1]}
    out = FlipSkeleton(1.0)({**one, "joints_hands": ["right"]})
    np.testing.assert_array_equal(out["joints"][..., 0], -joints[:, :, :1, :, 0])


def test_own_size_knows_no_unit_and_no_place():
    pixels, metres = body(), body()
    metres["joints"] = metres["joints"] * 0.01 - np.float32([3, 1, 0])
    outs = [NormalizeSkeleton("size")(one)["joints"] for one in (pixels, metres)]
    np.testing.assert_allclose(outs[0], outs[1], atol=1e-4)
    np.testing.assert_allclose(outs[0][0, 0, 0, 0], 0, atol=1e-6)
    hidden = body()
    hidden["joints_mask"][..., 0] = False  # the root is never seen
    out = NormalizeSkeleton("size")(hidden)["joints"]
    np.testing.assert_allclose(out[0, 0, 0, 1:].mean(axis=0), 0, atol=1e-6)
    hidden["joints_mask"][:] = False
    assert not NormalizeSkeleton("size")(hidden)["joints"].any()


def test_the_middle_of_the_clip_as_origin():
    one, moved = body(), body()
    moved["joints"] = moved["joints"] * 3 + 7
    outs = [NormalizeSkeleton("size", origin="middle")(x) for x in (one, moved)]
    outs = [out["joints"][out["joints_mask"]] for out in outs]
    np.testing.assert_allclose(outs[0], outs[1], atol=1e-4)
    np.testing.assert_allclose(outs[0].mean(axis=0), 0, atol=1e-5)
    with pytest.raises(ValueError, match="is for mode='size'"):
        NormalizeSkeleton("wrist", origin="middle")


def test_size_by_hand():
    """Joints at -1 and 1 from their middle: the size is 1, a single joint has none."""
    joints = np.zeros((1, 2, 1, 3, 3), np.float32)
    joints[..., 0] = [2, 4, 100]
    mask = np.array([True, True, False]) & np.ones((1, 2, 1, 3), bool)
    results = dict(joints=joints * 5, joints_mask=mask, joints_layout=None)
    out = NormalizeSkeleton("size", wrist=0)(dict(results))["joints"]
    assert out[0, 0, 0, :, 0].tolist() == [0, 2, 0]
    results["joints_mask"] = mask & [True, False, False]
    assert not NormalizeSkeleton("size", wrist=0)(results)["joints"].any()


def test_a_layout_without_root_or_bones():
    bare = {**body(), "joints_layout": layout_of({"num_joints": 5})}
    with pytest.raises(ValueError, match="names no root joint"):
        NormalizeSkeleton("first_wrist")(dict(bare))
    with pytest.raises(ValueError, match="lists none"):
        NormalizeSkeleton("bone", wrist=0)(dict(bare))
    assert np.isfinite(NormalizeSkeleton("size")(bare)["joints"]).all()


def test_two_dimensions_stay_two():
    out = JitterSkeleton(scale=0.1, rotation=(20, 20, 20), noise=1.0)(body())
    assert not out["joints"][..., 2].any() and out["joints"][..., :2].any()
    with pytest.raises(ValueError, match="2-D"):
        ProjectSkeleton()({**body(), "joints_frame": "camera", "camera": {"fx": 1}})
    kind = SkeletonKind.of(BODY)
    assert kind.place == "pixels" and kind.range.text == "pixels"
    keypoint = body()["joints"][0]
    assert check_skeleton("a", {"keypoint": keypoint}, kind).valid.all()
    keypoint[1, 0, 2, 2] = 3
    with pytest.raises(SkeletonError, match="row 1, hand 0, joint 2: z is 3"):
        check_skeleton("a", {"keypoint": keypoint}, kind)
    with pytest.raises(SkeletonError, match="expected 1 hands .* 5 joints"):
        check_skeleton("a", {"keypoint": keypoint[:, :, :4]}, kind)


@pytest.mark.parametrize("by_joint", [False, True], ids=["by hand", "by joint"])
def test_a_cache_comes_out_of_the_pipeline_equal(tmp_path, by_joint):
    joints = body(8)["joints"][0]
    valid = np.ones((8, 1, 5) if by_joint else (8, 1), bool)
    valid[3] = False
    path = tmp_path / "a.npz"
    write_skeleton_cache(
        path,
        keypoint=joints,
        valid=valid,
        frame_id=np.arange(8),
        fps=10.0,
        sequence="s",
        kind=SkeletonKind.of(BODY),
    )
    assert load_skeleton_file(str(path), SkeletonKind.of(BODY)).valid.shape == (
        valid.shape
    )
    results = dict(
        times={"skeleton": (np.arange(8)[None] + 0.5) / 10},
        skeleton_path=str(path),
        ann_meta=metainfo(BODY),
        group="s",
        index_fps=10.0,
        start_sec=0.0,
        end_sec=0.8,
    )
    results = LoadSkeleton()(results)
    packed = PackInputs(streams=("skeleton",))(results)["inputs"]
    seen = np.broadcast_to(valid.reshape(8, -1), (8, 5))
    assert packed["skeleton"].shape == (1, 8, 5, 3)
    np.testing.assert_array_equal(packed["skeleton_mask"][0], seen)
    np.testing.assert_array_equal(
        packed["skeleton"][0].numpy()[seen], joints[:, 0][seen]
    )


def test_a_body_is_drawn():
    ground = np.zeros((64, 64, 3), np.uint8)
    joints = body()["joints"][0, 0] / 8  # (1, 5, 3)
    picture = draw_hands(ground, joints, np.ones((1, 5), bool), layout_of(BODY))
    assert picture.any() and not ground.any()
    with pytest.raises(ValueError, match="layout 'body5' expects"):
        draw_hands(ground, joints[:, :4], np.ones((1, 4), bool), layout_of(BODY))
