import numpy as np
import pytest

from mmfusion.layouts.hand_layouts import LAYOUTS, OPENPOSE21, to_openpose21

# places of a few joints in each source, from the data sets' own descriptions
KNOWN = {
    "openpose21": dict(wrist=0, thumb_tip=4, index_mcp=5, little_tip=20),
    "mediapipe": dict(wrist=0, thumb_cmc=1, middle_tip=12),
    "fpha": dict(wrist=0, thumb_cmc=1, index_mcp=2, little_mcp=5, thumb_tip=8),
    "assemblyhands_right": dict(thumb_tip=0, index_tip=4, little_mcp=19, wrist=20),
    "assemblyhands_left": dict(thumb_tip=21, little_tip=37, wrist=41),
    "hot3d": dict(thumb_tip=0, little_tip=4, wrist=5, thumb_mcp=6, other_20=20),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_joints(name):
    for joint, place in KNOWN[name].items():
        assert LAYOUTS[name].joint_names[place] == joint


@pytest.mark.parametrize("name", [n for n in LAYOUTS if n != "natops_arm"])
def test_reordered_by_name(name):
    layout = LAYOUTS[name]
    rows = np.arange(layout.num_joints, dtype=np.float32)[:, None].repeat(3, 1)
    joints, valid = to_openpose21(rows[None], name)
    assert joints.shape == (1, 21, 3) and valid.shape == (1, 21)
    for joint, row in enumerate(joints[0, :, 0].astype(int)):
        if valid[0, joint]:
            assert layout.joint_names[row] == OPENPOSE21.joint_names[joint]
    missing = [OPENPOSE21.joint_names[j] for j in np.flatnonzero(~valid[0])]
    assert missing == (["thumb_cmc"] if name == "hot3d" else [])


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_bones_form_one_tree(layout):
    reached = {layout.wrist}
    for _ in layout.bones:
        reached |= {end for start, end in layout.bones if start in reached}
        reached |= {start for start, end in layout.bones if end in reached}
    ends = {joint for bone in layout.bones for joint in bone}
    assert reached == ends and len(layout.bones) == len(ends) - 1


def test_not_finite_is_not_valid():
    array = np.ones((2, 21, 3), np.float32)
    array[1, 4] = np.nan  # Ego-Exo4D's way to say missing
    joints, valid = to_openpose21(array, "ego_exo4d")
    assert valid.sum() == 41 and not valid[1, 4]
    assert np.isfinite(joints).all()


@pytest.mark.parametrize(
    ("shape", "layout", "message"),
    [
        ((62,), "openpose21", "expects"),
        ((20, 3), "openpose21", "expects"),
        ((21, 3), "assemblyhands_right", "42"),
        ((4, 3), "natops_arm", "not a hand"),
        ((21, 3), "kinect", "expected one of"),
    ],
)
def test_wrong_input(shape, layout, message):
    with pytest.raises(ValueError, match=message):
        to_openpose21(np.zeros(shape), layout)
