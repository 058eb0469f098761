"""Joints of whole bodies, as ``metainfo.skeleton`` describes them."""

from typing import Any

_POSE = (
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye"
    " right_eye_outer left_ear right_ear mouth_left mouth_right left_shoulder"
    " right_shoulder left_elbow right_elbow left_wrist right_wrist left_pinky"
    " right_pinky left_index right_index left_thumb right_thumb left_hip right_hip"
    " left_knee right_knee left_ankle right_ankle left_heel right_heel"
    " left_foot_index right_foot_index"
)
_POSE_BONES = (
    *((0, 2), (2, 7), (0, 5), (5, 8), (9, 10), (11, 12), (11, 13), (13, 15), (15, 17)),
    *((15, 19), (15, 21), (12, 14), (14, 16), (16, 18), (16, 20), (16, 22), (11, 23)),
    *((12, 24), (23, 24), (23, 25), (25, 27), (27, 29), (27, 31), (24, 26), (26, 28)),
    *((28, 30), (28, 32)),
)
_BODY25 = (
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow"
    " left_wrist mid_hip right_hip right_knee right_ankle left_hip left_knee left_ankle"
    " right_eye left_eye right_ear left_ear left_big_toe left_small_toe left_heel"
    " right_big_toe right_small_toe right_heel"
)
_BODY25_BONES = (
    *((1, 0), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)),
    *((10, 11), (8, 12), (12, 13), (13, 14), (0, 15), (15, 17), (0, 16), (16, 18)),
    *((14, 21), (14, 19), (19, 20), (11, 24), (11, 22), (22, 23)),
)


def _described(
    layout: str, joints: list[str], bones: Any, wrist: int | None = None
) -> dict[str, Any]:
    """Parts of ``metainfo.skeleton``; left and right are paired by their names."""
    place = {name: number for number, name in enumerate(joints)}
    swapped = [(name, name.replace("left", "right")) for name in joints]
    mirror = [[place[a], place[b]] for a, b in swapped if a != b and b in place]
    kept = [[a, b] for a, b in bones if max(a, b) < len(joints)]
    found = dict(layout=layout, joints=joints, bones=kept, mirror=mirror)
    return found if wrist is None else {**found, "wrist": wrist}


def mediapipe_pose(num_joints: int = 33) -> dict[str, Any]:
    """MediaPipe's pose, or the first so many joints of it; fractions of the image."""
    joints = _POSE.split()[:num_joints]
    layout = "mediapipe_pose" if num_joints == 33 else f"mediapipe_pose{num_joints}"
    found = _described(layout, joints, _POSE_BONES)
    return {**found, "hands": ["body"], "unit": "image", "frame": "image"}


def openpose_body25() -> dict[str, Any]:
    """OpenPose's BODY_25; pixels."""
    found = _described("openpose_body25", _BODY25.split(), _BODY25_BONES, wrist=8)
    return {**found, "hands": ["body"], "unit": "px", "frame": "image"}
