import numpy as np
import pytest

from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.datasets.transforms import LoadSkeleton
from mmfusion.datasets.transforms.load_skeleton import take_joints
from mmfusion.layouts.skeleton_arrays import check_skeleton
from mmfusion.utils.errors import SkeletonError
from tests.datasets.transforms.helpers import META, results, skeleton


def test_takes_the_frame_that_covers_the_time():
    times = np.array([[0.0, 0.05, 0.099, 0.1, 1.25, 2.95]])
    out = LoadSkeleton()(results(times={"skeleton": times}))
    assert out["joints"].shape == (1, 6, 2, 21, 3)
    assert out["joints_mask"].shape == (1, 6, 2, 21)
    np.testing.assert_array_equal(out["joints"][0, :, 0, 0, 0], [0, 0, 0, 1, 12, 29])
    assert out["joints"].dtype == np.float32 and out["joints_frame"] == "camera"


def test_every_frame_at_its_own_centre_whatever_the_rate():
    for fps in (24.0, 29.97, 30.0, 59.94):
        times = (np.arange(30)[None] + 0.0) / fps
        changes = dict(index_fps=fps, end_sec=30 / fps, times={"skeleton": times})
        out = LoadSkeleton()(results(**changes))
        np.testing.assert_array_equal(out["joints"][0, :, 0, 0, 0], np.arange(30))


def test_holds_unseen_hands():
    data = skeleton()
    data["valid"][:6, 0] = False  # unseen at first: the first sight
    data["valid"][20:, 0] = False  # lost: the last sight
    data["valid"][:, 1] = False  # never seen
    out = LoadSkeleton()(results(skeleton_data=data))
    x, valid = out["joints"][0, :, 0, 0, 0], out["joints_mask"][0, ..., 0]
    np.testing.assert_array_equal(x, [6, 6, 7, 10, 13, 16, 19, 19, 19, 19])
    np.testing.assert_array_equal(valid[:, 0], [0, 0, 1, 1, 1, 1, 1, 0, 0, 0])
    assert not valid[:, 1].any() and not out["joints"][:, :, 1].any()


def test_holds_within_the_clip_only():
    data = skeleton()
    data["valid"][10:, 0] = False
    out = LoadSkeleton()(
        results(
            skeleton_data=data,
            start_sec=1.5,
            times={"skeleton": np.array([[1.6, 2.5]])},
        )
    )
    assert not out["joints"][:, :, 0].any() and not out["joints_mask"][:, :, 0].any()


def test_the_frame_whose_centre_is_the_clips_end_is_not_of_the_clip():
    times = {"skeleton": np.array([[1.2]])}  # the centre of frame 12 is at 1.25 s
    found = [
        LoadSkeleton()(results(end_sec=end, times=times))["joints"][0, 0, 0, 0, 0]
        for end in (1.25, 1.26)
    ]
    assert found == [11, 12]


def test_mask_by_joint():
    data = skeleton()
    data["valid"] = np.ones((30, 2, 21), bool)
    data["valid"][:, 1, 1] = False  # HOT3D has no base joint of the thumb
    data["keypoint"][:, 1, 1] = np.nan
    out = LoadSkeleton()(results(skeleton_data=data))
    assert out["joints_mask"][0].sum(axis=0).tolist()[1][:3] == [10, 0, 10]
    assert not out["joints"][:, :, 1, 1].any()


@pytest.mark.parametrize(
    ("position", "max_gap", "near"),
    [
        (1.4, 0.3, True),  # a frame away is near, however few a second there are
        (1.6, 0.3, False),
        (3.4, 3.0, True),
        (3.6, 3.0, False),
        (6.6, 3.0, False),
        (7.6, 3.0, True),  # the middle of frame 10 is 3 - 0.1 away
        (13.4, 3.0, True),
        (13.6, 3.0, False),
    ],
)
def test_a_row_is_near_within_the_gap(position, max_gap, near):
    data = skeleton(num=2)
    data["frame_id"] = np.array([0, 10])
    content = check_skeleton("x", data)
    place = np.array([position])
    mask = take_joints(content, place, np.arange(2), max_gap)[1]
    assert bool(mask.all()) == bool(mask.any()) == near


@pytest.mark.parametrize(("end", "fits"), [(0.56, True), (0.54, False)])
def test_a_clip_may_end_half_a_second_before_the_first_row(end, fits):
    """Frame 10 at 10 a second; the clip's frames end at 5.1 and at 4.9."""
    data = skeleton(num=20)
    data["frame_id"] = np.arange(10, 30)
    options = dict(skeleton_data=data, start_sec=0.0, end_sec=end)
    options["times"] = {"skeleton": np.array([[0.1]])}
    if fits:
        assert not LoadSkeleton()(results(**options))["joints_mask"].any()
        return
    with pytest.raises(SkeletonError, match="holds frames 10 to 29; the clip asks"):
        LoadSkeleton()(results(**options))


def test_gaps_in_frame_ids_are_not_valid():
    data = skeleton()
    data["frame_id"] = np.r_[np.arange(15), np.arange(40, 55)]
    times = np.array([[1.0, 2.5, 4.5]])
    out = LoadSkeleton()(
        results(skeleton_data=data, end_sec=6.0, times={"skeleton": times})
    )
    seen = out["joints_mask"][0, :, 0, 0]
    np.testing.assert_array_equal(seen, [True, False, True])


def test_other_joint_counts():
    meta = {"skeleton": dict(layout="natops_arm", hands=["left", "right"])}
    out = LoadSkeleton()(results(ann_meta=meta, skeleton_data=skeleton(joints=4)))
    assert out["joints"].shape == (1, 10, 2, 4, 3)


def write(path, **changes):
    arrays = skeleton()
    options = dict(
        keypoint=arrays["keypoint"],
        valid=arrays["valid"],
        frame_id=arrays["frame_id"],
        fps=10.0,
        sequence="a",
    )
    write_skeleton_cache(path, **{**options, **changes})
    return results(skeleton_data=None, skeleton_path=str(path))


def test_reads_a_cache_and_notices_a_new_one(tmp_path):
    out = LoadSkeleton()(write(tmp_path / "a.npz"))
    assert out["joints"][0, 0, 0, 0, 0] == 1
    later = skeleton()["keypoint"] + 100
    out = LoadSkeleton()(write(tmp_path / "a.npz", keypoint=later))
    assert out["joints"][0, 0, 0, 0, 0] == 101
    out["joints"][:] = 0  # a transform may write; the cache must not change
    again = results(skeleton_data=None, skeleton_path=out["skeleton_path"])
    out = LoadSkeleton()(again)
    assert out["joints"][0, 0, 0, 0, 0] == 101


def test_another_sequence(tmp_path):
    with pytest.raises(SkeletonError, match=r"a\.npz.*sequence 'b'; expected 'a'"):
        LoadSkeleton()(write(tmp_path / "a.npz", sequence="b"))


def broken(**changes):
    return {**skeleton(), **changes}


NAN = skeleton()["keypoint"]
NAN[7, 1, 20, 2] = np.nan
FAR = skeleton()["keypoint"] + 1e9


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (broken(keypoint=np.zeros((30, 2, 62))), r"\(30, 2, 62\).*63 numbers"),
        (skeleton(joints=20), "2 hands x 20 joints.*21 joints"),
        (skeleton(hands=1), "1 hands.*2 hands"),
        (broken(keypoint=NAN), "row 7, hand 1, joint 20: z is nan"),
        (broken(keypoint=FAR), "expected a finite number below"),
        (broken(valid=np.ones((30, 3), bool)), "valid has shape"),
        (broken(frame_id=np.zeros(30, int)), "ascending"),
        (skeleton(num=0), "0 frames"),
        ({"joints": NAN}, "expected 'keypoint'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_arrays(data, message):
    with pytest.raises(SkeletonError, match=message):
        LoadSkeleton()(results(skeleton_data=data))


def test_wrong_files(tmp_path):
    with pytest.raises(SkeletonError, match="does not exist"):
        LoadSkeleton()(results(skeleton_data=None, skeleton_path=str(tmp_path / "x")))
    text = tmp_path / "text.npz"
    text.write_text("not an npz")
    with pytest.raises(SkeletonError, match=r"text\.npz.*plain arrays"):
        LoadSkeleton()(results(skeleton_data=None, skeleton_path=str(text)))
    objects = tmp_path / "objects.npz"
    np.savez(objects, keypoint=np.array([{}], dtype=object))
    with pytest.raises(SkeletonError, match="plain arrays"):
        LoadSkeleton()(results(skeleton_data=None, skeleton_path=str(objects)))


def test_one_hand_is_read_as_one_of_two_by_name():
    meta = {"skeleton": {**META["skeleton"], "hands": ["right"]}}
    one = dict(ann_meta=meta, skeleton_data=skeleton(hands=1))
    out = LoadSkeleton()(results(**one))
    assert out["joints"].shape[2] == out["num_hands"] == 1
    out = LoadSkeleton(hands=["left", "right"])(results(**one))
    assert out["joints"].shape == (1, 10, 2, 21, 3) and out["num_hands"] == 2
    assert out["joints_mask"].any(axis=(0, 1, 3)).tolist() == [False, True]
    assert not out["joints"][:, :, 0].any() and out["joints_hands"] == ["left", "right"]
    with pytest.raises(ValueError, match=r"hands: got \['left'\]; .*names \('right'"):
        LoadSkeleton(hands=["left"])(results(**one))
    missing = results(ann_meta=meta, skeleton_data=None)
    out = LoadSkeleton(optional=True, hands=["left", "right"])(missing)
    assert out["joints"].shape == (1, 10, 2, 21, 3) and not out["joints_mask"].any()


def test_clip_outside_the_sequence():
    times = {"skeleton": np.array([[60.0]])}
    with pytest.raises(SkeletonError, match="holds frames 0 to 29; the clip asks"):
        LoadSkeleton()(results(start_sec=50.0, end_sec=70.0, times=times))


def test_missing_stream():
    with pytest.raises(ValueError, match="'a#0' has no skeleton"):
        LoadSkeleton()(results(skeleton_data=None))
    out = LoadSkeleton(optional=True)(results(skeleton_data=None))
    assert out["joints"].shape == (1, 10, 2, 21, 3) and not out["joints_mask"].any()
    with pytest.raises(ValueError, match="must name hands"):
        LoadSkeleton(optional=True)(results(skeleton_data=None, ann_meta={}))
    with pytest.raises(ValueError, match="add it to SampleTimes"):
        LoadSkeleton()(results(times={"video": np.zeros((1, 1))}))
    assert META["skeleton"]["hands"] == ["left", "right"]
