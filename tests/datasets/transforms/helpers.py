"""Results as a dataset hands them to a pipeline, with a skeleton in memory."""

import numpy as np

# no unit: the joints are numbers to know them by, not places
META = {
    "skeleton": {
        "layout": "openpose21",
        "hands": ["left", "right"],
        "frame": "camera",
    }
}


def skeleton(num: int = 30, hands: int = 2, joints: int = 21) -> dict[str, np.ndarray]:
    """Joints whose x is the frame number; y the hand, z the joint."""
    keypoint = np.zeros((num, hands, joints, 3), np.float32)
    keypoint[..., 0] = np.arange(num)[:, None, None]
    keypoint[..., 1] = np.arange(hands)[:, None]
    keypoint[..., 2] = 1 + np.arange(joints)
    return {
        "keypoint": keypoint,
        "valid": np.ones((num, hands), bool),
        "frame_id": np.arange(num),
    }


def results(**changes) -> dict:
    """A three second clip at 10 fps from 0 s, seen at 10 times."""
    base = {
        "sample_id": "a#0",
        "group": "a",
        "start_sec": 0.0,
        "end_sec": 3.0,
        "index_fps": 10.0,
        "label": {"action": 3},
        "ann_meta": META,
        "skeleton_data": skeleton(),
        "times": {"skeleton": (np.arange(10)[None] + 0.5) * 0.3},
    }
    return {**base, **changes}
