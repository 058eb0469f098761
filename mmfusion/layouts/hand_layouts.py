"""One table of joint orders: what each data set calls joint 0, 1, 2...

OpenPose 21 is the order that mmfusion stores and draws: the wrist, then thumb, index,
middle, ring and little finger, each from its base to its tip. H2O, Ego-Exo4D, MediaPipe
and manotorch already use it; the others are brought to it by :func:`to_openpose21`.
"""

from dataclasses import dataclass

import numpy as np

from mmfusion.utils.errors import InputError

_FINGERS = ("thumb", "index", "middle", "ring", "little")
_KNUCKLES = {"thumb": ("cmc", "mcp", "ip", "tip")}
_OPENPOSE_NAMES = ("wrist",) + tuple(
    f"{finger}_{part}"
    for finger in _FINGERS
    for part in _KNUCKLES.get(finger, ("mcp", "pip", "dip", "tip"))
)
# parent of each OpenPose joint on the way to the wrist
_OPENPOSE_PARENT = (-1,) + tuple(
    0 if joint % 4 == 1 else joint - 1 for joint in range(1, 21)
)


@dataclass(frozen=True)
class JointLayout:
    """One order of joints.

    Attributes:
        name: the name used in an annotation's ``metainfo.skeleton.layout``.
        joint_names: one name a joint, in the layout's own order.
        bones: pairs (parent, child) of joint indices in the layout's own order.
        wrist: index of the wrist.
        openpose_index: for each OpenPose joint the index of the same joint here, -1
            where this layout lacks it; None for a layout that is not a hand.
    """

    name: str
    joint_names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    wrist: int
    openpose_index: tuple[int, ...] | None

    @property
    def num_joints(self) -> int:
        return len(self.joint_names)


def _hand(name: str, index: tuple[int, ...], num_joints: int = 21) -> JointLayout:
    """A hand layout from ``index``, the place of each OpenPose joint in it."""
    names = [f"other_{joint}" for joint in range(num_joints)]
    bones = []
    for joint, place in enumerate(index):
        if place < 0:
            continue
        names[place] = _OPENPOSE_NAMES[joint]
        parent = _OPENPOSE_PARENT[joint]
        while parent >= 0 and index[parent] < 0:  # a missing joint is bridged
            parent = _OPENPOSE_PARENT[parent]
        if parent >= 0:
            bones.append((index[parent], place))
    return JointLayout(name, tuple(names), tuple(bones), index[0], index)


_IDENTITY = tuple(range(21))
_FPHA = (0, 1, 6, 7, 8, 2, 9, 10, 11, 3, 12, 13, 14, 4, 15, 16, 17, 5, 18, 19, 20)
# each finger runs from tip to base, and the wrist comes last
_ASSEMBLY = (20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16)
# no base joint of the thumb; landmark 20 is the palm, which OpenPose lacks
_HOT3D = (5, -1, 6, 7, 0, 8, 9, 10, 1, 11, 12, 13, 2, 14, 15, 16, 3, 17, 18, 19, 4)

OPENPOSE21 = _hand("openpose21", _IDENTITY)

LAYOUTS: dict[str, JointLayout] = {
    layout.name: layout
    for layout in (
        OPENPOSE21,
        _hand("h2o", _IDENTITY),
        _hand("ego_exo4d", _IDENTITY),
        _hand("mediapipe", _IDENTITY),
        _hand("manotorch", _IDENTITY),
        _hand("fpha", _FPHA),
        # AssemblyHands stores both hands in one row of 42, the right one first
        _hand("assemblyhands_right", _ASSEMBLY, num_joints=42),
        _hand("assemblyhands_left", tuple(i + 21 for i in _ASSEMBLY), num_joints=42),
        _hand("hot3d", _HOT3D),
        JointLayout(
            "natops_arm",
            ("hand_tip", "elbow", "wrist", "thumb_tip"),
            ((1, 2), (2, 0), (2, 3)),
            wrist=2,
            openpose_index=None,
        ),
    )
}


def get_layout(name: str) -> JointLayout:
    """The layout called ``name``.

    Raises:
        ValueError: no layout has this name.
    """
    if name not in LAYOUTS:
        raise InputError(f"layout: got {name!r}; expected one of {sorted(LAYOUTS)}")
    return LAYOUTS[name]


def to_openpose21(array: np.ndarray, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """Reorder the joints of one hand to OpenPose 21.

    Args:
        array: (..., j, c), j joints in the order of ``layout``.
        layout: a key of ``LAYOUTS`` that is a hand.

    Returns:
        (..., 21, c) joints and (..., 21) bool, False (coordinates 0) where the layout
        lacks the joint or a coordinate is not finite.

    Raises:
        ValueError: the layout is unknown or not a hand, or j is not its joint count.
    """
    source = get_layout(layout)
    if source.openpose_index is None:
        raise InputError(f"layout: {layout!r} is not a hand of OpenPose joints")
    if array.ndim < 2 or array.shape[-2] != source.num_joints:
        raise InputError(
            f"array: got shape {array.shape}; layout {layout!r} expects"
            f" (..., {source.num_joints}, c)"
        )
    index = np.asarray(source.openpose_index)
    joints = np.take(array, np.maximum(index, 0), axis=-2)  # (..., 21, c)
    valid = np.isfinite(joints).all(axis=-1) & (index >= 0)  # (..., 21)
    return np.where(valid[..., None], joints, 0).astype(array.dtype), valid
