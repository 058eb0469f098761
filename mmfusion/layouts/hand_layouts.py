"""Orders of joints: a table of the published ones, and :func:`layout_of` for any other.

An annotation's ``metainfo.skeleton`` names a layout of the table, or has a layout of
its own: any name, with ``joints``, ``bones``, ``wrist`` and ``mirror`` beside it.

OpenPose 21 is the order that mmfusion stores and draws: the wrist, then thumb, index,
middle, ring and little finger, each from its base to its tip. H2O, Ego-Exo4D, MediaPipe
and manotorch already use it; the others are brought to it by :func:`to_openpose21`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmfusion.utils.errors import InputError
from mmfusion.utils.schema import shown

MAX_JOINTS = 1024  # of a skeleton; a face has 478, and a count is a claim
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
        wrist: index of the wrist, or of the root of another skeleton (a body's hip);
            None where nothing tells it.
        openpose_index: for each OpenPose joint the index of the same joint here, -1
            where this layout lacks it; None for a layout that is not a hand.
        mirror: pairs (left, right) of joints that change places in a mirror, () where
            none does; None where nothing tells it, as of a hand, which in a mirror is
            the other hand.
    """

    name: str
    joint_names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    wrist: int | None
    openpose_index: tuple[int, ...] | None
    mirror: tuple[tuple[int, int], ...] | None = None

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


def get_layout(layout: str | JointLayout) -> JointLayout:
    """The layout of that name in the table; a :class:`JointLayout` as it is.

    Raises:
        ValueError: no layout has this name.
    """
    if isinstance(layout, JointLayout):
        return layout
    if layout not in LAYOUTS:
        raise InputError(f"layout: got {layout!r}; expected one of {sorted(LAYOUTS)}")
    return LAYOUTS[layout]


def layout_of(skeleton: Mapping | None) -> JointLayout | None:
    """The layout that ``metainfo.skeleton`` of an annotation names or describes.

    Args:
        skeleton: of it are read ``layout``; ``joints``, names in the arrays' order;
            ``num_joints`` where they have no names; ``bones`` [[parent, child], ...];
            ``wrist``, the root joint; ``mirror`` [[left, right], ...], which may stand
            beside a layout of the table, too.

    Returns:
        None where it neither names a layout of the table nor tells its joints.

    Raises:
        ValueError: it is not what an annotation may hold.
    """
    skeleton = skeleton or {}
    check_layout_keys(skeleton)
    name, joints = skeleton.get("layout"), skeleton.get("joints")
    mirror = skeleton.get("mirror")
    pairs = None if mirror is None else tuple((left, right) for left, right in mirror)
    if name in LAYOUTS:
        known = LAYOUTS[name]
        return known if pairs is None else replace(known, mirror=pairs)
    count = skeleton.get("num_joints")
    if joints is None:
        if count is None:
            return None
        joints = [f"joint_{number}" for number in range(count)]
    bones = tuple((parent, child) for parent, child in skeleton.get("bones") or ())
    wrist = skeleton.get("wrist")
    return JointLayout(name or "own", tuple(joints), bones, wrist, None, pairs)


def check_layout_keys(skeleton: Mapping) -> None:
    """Refuse keys of ``metainfo.skeleton`` that contradict each other.

    Raises:
        InputError: names the key, what came and what was expected.
    """
    known = LAYOUTS.get(skeleton.get("layout") or "")
    joints, count = skeleton.get("joints"), skeleton.get("num_joints")
    if known is not None:
        own = dict(
            joints=[*known.joint_names],
            num_joints=known.num_joints,
            bones=[[*bone] for bone in known.bones],
            wrist=known.wrist,
        )
        for key, value in own.items():
            if skeleton.get(key) not in (None, value):
                raise InputError(
                    f"{key} is {shown(skeleton[key])} beside the layout"
                    f" {known.name!r}, whose {key} is {shown(value)}: leave {key} out,"
                    " or give the layout another name"
                )
        count = known.num_joints
    elif joints is not None:
        if count not in (None, len(joints)):
            raise InputError(
                f"num_joints is {count} but joints has {len(joints)} names; leave"
                " num_joints out"
            )
        count = len(joints)
    _check_joints(joints, count)
    used = [(key, n) for key in ("bones", "mirror") for n in _flat(skeleton.get(key))]
    if skeleton.get("wrist") is not None:
        used.append(("wrist", skeleton["wrist"]))
    for key, joint in used:
        if joint >= 0 and count is None:
            raise InputError(
                f"{key} is given without joints; expected joints, a list of names (or"
                " num_joints), beside it"
            )
        if joint < 0 or joint >= (count or 0):
            there = (
                "" if count is None else f"..{count - 1}, as there are {count} joints"
            )
            raise InputError(
                f"{key} has joint {joint}; expected 0{there}, counted from 0"
            )
    changing = _flat(skeleton.get("mirror"))
    if len(set(changing)) < len(changing):
        raise InputError(
            f"mirror is {shown(skeleton['mirror'])}; expected each joint in one pair at"
            " most, as [[left_eye, right_eye], [left_hip, right_hip]]"
        )


def _check_joints(joints: Sequence[str] | None, count: int | None) -> None:
    """Refuse names that do not tell joints apart, and more joints than any body has."""
    if count is not None and not 0 < count <= MAX_JOINTS:
        raise InputError(f"there are {count} joints; expected 1..{MAX_JOINTS}")
    names = [*(joints or ())]
    for name in names:
        if not name.strip() or names.count(name) > 1:
            raise InputError(
                f"joints has the name {shown(name)}"
                f"{' twice' if name.strip() else ''}; expected a name of its own for"
                " each joint"
            )


def _flat(pairs: Sequence[Sequence[int]] | None) -> list[int]:
    return [joint for pair in pairs or () for joint in pair]


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
