"""A small set of one's own: clips of skeletons, told apart by how they move."""

import numpy as np

from mmfusion.datasets.annotation import write_annotation
from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.layouts.skeleton_arrays import SkeletonKind

SPLITS = ("train", "train", "train", "train", "val", "test")
CLASSES = ("up", "down", "round")
BODY15 = {
    "layout": "body15",
    "joints": [f"part{number}" for number in range(15)],
    "bones": [[0, number] for number in range(1, 15)],
    "wrist": 0,
    "mirror": [[1, 2]],
    "hands": ["body"],
    "unit": "px",
    "frame": "image",
    "dims": 2,
}
HAND20 = {
    "layout": "glove20",
    "num_joints": 20,
    "bones": [[0, 1], [1, 2]],
    "wrist": 0,
    "hands": ["hand"],
    "unit": "mm",
    "frame": "world",
}
TWO21 = {
    "layout": "mediapipe",
    "hands": ["left", "right"],
    "unit": "image",
    "frame": "image",
}
SCALE = {"px": 300.0, "mm": 80.0, "image": 0.1, "m": 0.1}
_MIDDLE = {"px": 500.0, "mm": 0.0, "image": 0.5, "m": 0.0}


def clip(kind, label, rng, num=12):
    """Joints (t, m, j, 3) that move as the class says, and valid by joint."""
    hands, joints = len(kind.hands), kind.num_joints
    shape = rng.uniform(-1, 1, (1, hands, joints, 3))
    time = np.linspace(0, 1, num)[:, None, None]
    way = ((0 * time, time), (0 * time, -time), (time, np.sin(6 * time)))[label]
    moving = shape + np.stack([*way, 0 * time], axis=-1)
    scaled = _MIDDLE[kind.unit] + SCALE[kind.unit] * moving
    if kind.dims == 2 or kind.unit == "image":
        scaled[..., 2] = 0
    valid = rng.random((num, hands, joints)) < 0.9
    return scaled.astype(np.float32), valid


def write_custom(root, skeleton=TWO21, *, by_joint=True, **changes):
    """``root/annotation.json`` with 18 clips of three classes, and their caches.

    Args:
        changes: keys of every record, None leaves one out.
    """
    kind, rng = SkeletonKind.of(skeleton), np.random.default_rng(0)
    records = []
    for label in range(len(CLASSES)):
        for number, split in enumerate(SPLITS):
            name = f"{CLASSES[label]}{number}"
            joints, valid = clip(kind, label, rng)
            write_skeleton_cache(
                root / f"skeleton/{name}.npz",
                keypoint=joints,
                valid=valid if by_joint else valid[..., 0],
                frame_id=np.arange(len(joints)),
                fps=10.0,
                sequence=name,
                kind=kind,
            )
            record = {
                "id": name,
                "group": name,
                "split": split,
                "start_sec": 0.0,
                "end_sec": 1.2,
                "index_fps": 10.0,
                "skeleton": {"file": f"skeleton/{name}.npz"},
                "label": {"action": label},
                **changes,
            }
            records.append({k: v for k, v in record.items() if v is not None})
    metainfo = {
        "version": 1,
        "dataset": "mine",
        "classes": {"action": [*CLASSES]},
        "skeleton": skeleton,
    }
    write_annotation(root / "annotation.json", metainfo, records)
    return metainfo, records
