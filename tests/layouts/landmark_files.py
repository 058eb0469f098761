"""Files of landmarks as their makers write them, from arrays (t, m, j, c) and masks."""

import json
from pathlib import Path

import numpy as np

SIDES = ("left", "right")


def two_hands(frames: int = 6, joints: int = 21, dims: int = 3, unit: str = "image"):
    """Joints (t, 2, j, dims), no two alike, and (t, 2) bool: one hand is not seen."""
    shape = (frames, 2, joints, dims)
    points = 0.1 + np.random.default_rng(0).random(shape).astype(np.float32) * 0.6
    points = points * {"image": 1, "px": 300, "m": 0.3}[unit]
    valid = np.ones(shape[:2], bool)
    valid[1, 0] = valid[2] = False
    return np.where(valid[..., None, None], points, 0).astype(np.float32), valid


def _dicts(hand):
    return [dict(zip("xyz", one, strict=True)) for one in hand.tolist()]


def tasks(path: Path, points, valid) -> Path:
    frames = []
    for hands, seen in zip(points, valid, strict=True):
        order = [1, 0]  # as found, not by side
        frames.append(
            {
                "hand_landmarks": [_dicts(hands[h]) for h in order if seen[h]],
                "handedness": [
                    [{"category_name": SIDES[h].title(), "score": 0.9, "index": h}]
                    for h in order
                    if seen[h]
                ],
            }
        )
    return write_json(path / "tasks.json", frames)


def tasks_of_javascript(path: Path, points, valid) -> Path:
    content = json.loads(tasks(path, points, valid).read_text())
    frames = [
        {
            "landmarks": one["hand_landmarks"],
            "handednesses": [
                [{"categoryName": s[0]["category_name"], "score": 0.8}]
                for s in one["handedness"]
            ],
        }
        for one in content
    ]
    return write_json(path / "js.json", {"fps": 25, "frames": frames})


def holistic(path: Path, points, valid) -> Path:
    frames = [
        {
            f"{side}_hand_landmarks": _dicts(hands[h]) if seen[h] else None
            for h, side in enumerate(SIDES)
        }
        for hands, seen in zip(points, valid, strict=True)
    ]
    return write_json(path / "holistic.json", frames)


def holistic_of_protobuf(path: Path, points, valid) -> Path:
    frames = [
        {
            f"{side}HandLandmarks": {"landmark": _dicts(hands[h])}
            for h, side in enumerate(SIDES)
            if seen[h]
        }
        for hands, seen in zip(points, valid, strict=True)
    ]
    return write_json(path / "protobuf.json", frames)


def holistic_rows(path: Path, points, valid, width: int = 1662) -> Path:
    left, right = {1662: (1536, 1599), 1629: (1404, 1566), 226: (100, 163)}[width]
    rows = np.random.default_rng(1).random((len(points), width)).astype(np.float32)
    rows[:, left : left + 63] = points[:, 0].reshape(-1, 63)
    rows[:, right : right + 63] = points[:, 1].reshape(-1, 63)
    np.save(path / "rows.npy", rows)
    return path / "rows.npy"


def openpose(path: Path, points, valid) -> Path:
    folder = path / "openpose"
    folder.mkdir()
    for frame, (hands, seen) in enumerate(zip(points, valid, strict=True)):
        person = {}
        for h, side in enumerate(SIDES):
            sure = np.full((hands.shape[1], 1), 0.75 * seen[h])
            flat = np.concatenate([hands[h], sure], axis=1)
            person[f"hand_{side}_keypoints_2d"] = flat.reshape(-1).tolist()
        other = {key: [value * 0.1 for value in flat] for key, flat in person.items()}
        content = {"version": 1.3, "people": [other, person]}
        write_json(folder / f"clip_{frame:012d}_keypoints.json", content)
    return folder


def wilor(path: Path, points, valid) -> Path:
    frames = []
    for hands, seen in zip(points, valid, strict=True):
        shift = [0.01, 0.02, 0.5]
        frames.append(
            [
                {
                    "hand_bbox": [0, 0, 9, 9],
                    "is_right": float(h),
                    "wilor_preds": {
                        "pred_keypoints_3d": [
                            (hands[h].astype(float) - shift).tolist()
                        ],
                        "pred_cam_t_full": [shift],
                    },
                }
                for h in (1, 0)
                if seen[h]
            ]
        )
    return write_json(path / "wilor.json", frames)


def hamer(path: Path, points, valid) -> Path:
    frame, right = np.nonzero(valid[:, ::-1])
    right = 1 - right
    shift = np.tile([0.01, 0.02, 0.5], (len(frame), 1))
    np.savez(
        path / "hamer.npz",
        pred_keypoints_3d=points[frame, right] - shift[:, None],
        cam_t=shift,
        right=right.astype(float),
        frame=frame,
    )
    return path / "hamer.npz"


def wide_csv(path: Path, points, valid, separator: str = ",") -> Path:
    _, _, joints, dims = points.shape
    names = [
        f"{side}_{joint}_{axis}"
        for side in ("right", "left")
        for joint in range(joints)
        for axis in "xyz"[:dims]
    ]
    rows = [separator.join(["frame", *names])]
    for frame, (hands, seen) in enumerate(zip(points, valid, strict=True)):
        cells = [
            repr(value) if seen[h] else ""
            for h in (1, 0)
            for value in hands[h].reshape(-1).tolist()
        ]
        rows.append(separator.join([str(frame), *cells]))
    (path / "wide.csv").write_text("\n".join(rows))
    return path / "wide.csv"


def long_csv(path: Path, points, valid) -> Path:
    _, _, joints, dims = points.shape
    rows = [",".join(["frame", "hand", "joint", *"xyz"[:dims]])]
    for frame, (hands, seen) in enumerate(zip(points, valid, strict=True)):
        for h, side in enumerate(SIDES):
            mask = np.broadcast_to(seen[h], joints)
            for joint in np.flatnonzero(mask).tolist():
                cells = map(repr, hands[h, joint].tolist())
                rows.append(",".join([str(frame), side.title(), str(joint), *cells]))
    (path / "long.csv").write_text("\n".join(rows))
    return path / "long.csv"


def array_npz(path: Path, points, valid, **more) -> Path:
    np.savez(path / "array.npz", landmarks=points, valid=valid, **more)
    return path / "array.npz"


def array_npy(path: Path, points, valid) -> Path:
    seen = valid if valid.ndim == 3 else valid[..., None]
    np.save(path / "array.npy", np.where(seen[..., None], points, np.nan))
    return path / "array.npy"


def flat_npy(path: Path, points, valid) -> Path:
    np.save(path / "flat.npy", points.reshape(len(points), -1))
    return path / "flat.npy"


def write_json(path: Path, content) -> Path:
    path.write_text(json.dumps(content))
    return path
