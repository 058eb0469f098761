"""A small H2O in the published layout, with or without faults, for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

HEADER = "id path action_label start_act end_act start_frame end_frame"
# row, sequence, label 1..36, start_act, end_act, start_frame, end_frame
ROWS = {
    "train": [
        (1, "subject1/h1/0", 16, 0, 5, 0, 11),
        (2, "subject1/h1/0", 8, 6, 11, 0, 11),
        (3, "subject1/h1/1", 1, 2, 9, 0, 9),
    ],
    "val": [(1, "subject3/k2/0", 36, 1, 8, 0, 9)],
    "test": [(1, "subject4/o1/0", None, 0, 9, 0, 9)],
}


def hand_line(frame: int, *, left: int = 1, right: int = 1) -> str:
    """128 numbers: joint j of both hands at x = j / 100, y = frame / 100, z = 0.5 m."""
    joints = np.zeros((21, 3))
    joints[:, 0] = np.arange(21) / 100
    joints[:, 1] = frame / 100
    joints[:, 2] = 0.5
    numbers = " ".join(f"{value:.4f}" for value in joints.flat)
    return f"{left} {numbers} {right} {numbers}"


def write_actions(root: Path, folder: str = "label_split") -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for split, rows in ROWS.items():
        header = HEADER if split != "test" else HEADER.replace("action_label ", "")
        lines = [" ".join(str(x) for x in row if x is not None) for row in rows]
        path = root / folder / f"action_{split}.txt"
        path.write_text("\n".join([header, *lines]) + "\n")


def write_sequence(
    root: Path,
    path: str,
    count: int,
    *,
    frames: str = "rgb256",
    suffix: str = ".jpg",
    size: tuple[int, int] = (91, 51),
) -> Path:
    """One sequence at ``path`` (subject_1/h1/0), without the right hand at frame 1."""
    camera = root / path / "cam4"
    for name in (frames, "hand_pose"):
        (camera / name).mkdir(parents=True)
    (camera / "cam_intrinsics.txt").write_text("640 630 640 360 1280 720")
    for frame in range(count):
        image = Image.new("RGB", size, (frame * 10, 80, 80))
        image.save(camera / frames / f"{frame:06d}{suffix}")
        line = hand_line(frame, right=int(frame != 1))
        (camera / "hand_pose" / f"{frame:06d}.txt").write_text(line)
    return camera


def write_h2o(root: Path) -> Path:
    """Four sequences under three spellings; 12, 9, 10 and 10 frames.

    The last frame of subject1/h1/1 is missing, so its clip must be clamped.
    """
    write_actions(root)
    write_sequence(root, "subject1_ego/h1/0", 12)
    write_sequence(root, "subject1_ego/h1/1", 9)
    write_sequence(root, "subject_3/k2/0", 10, frames="rgb", suffix=".png")
    write_sequence(root, "subject4/o1/0", 10)
    return root
