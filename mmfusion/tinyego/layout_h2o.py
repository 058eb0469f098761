"""TinyEgo in the published layout of H2O: head camera (cam4), small images, text files.

label_split/action_{train,val,test}.txt has H2O's columns and class numbers 1..36; the
test file hides the labels as H2O does, and action_test_labelled.txt, which H2O keeps to
itself, has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .actions import ACTIONS
from .ceilings import ClipContent
from .digest import digest
from .motion import LENS
from .plan import SPLITS, SequencePlan, WorldConfig
from .recording import ActedClip, Recording
from .world import TwinWorld

_COLUMNS = (
    *("id", "path", "action_label"),
    *("start_act", "end_act", "start_frame", "end_frame"),
)
_ACTION_OF_ID = {action.h2o_id: action.index for action in ACTIONS}


class H2OLayout:
    """Writes and reads back TinyEgo as H2O."""

    name = "h2o"
    world = TwinWorld()

    def sequence_path(self, config: WorldConfig, plan: SequencePlan) -> Path:
        """The folder that holds one sequence and nothing else, under the root."""
        return Path(f"subject{plan.subject}_ego", plan.area, str(plan.take))

    def write_sequence(
        self, root: Path, path: Path, config: WorldConfig, recording: Recording
    ) -> None:
        """Make a folder with cam4 of one sequence."""
        camera = path / "cam4"
        streams = ["rgb256", "hand_pose", "cam_pose"]
        labelled = recording.plan.split != "test"
        streams += ["action_label"] if labelled else []
        for stream in streams:
            (camera / stream).mkdir(parents=True)
        for frame, image in enumerate(recording.images):
            (camera / f"rgb256/{frame:06d}.jpg").write_bytes(image)
            hands = _hand_line(recording.joints[frame], recording.valid[frame])
            (camera / f"hand_pose/{frame:06d}.txt").write_text(hands)
            pose = _numbers(recording.camera_to_world[frame])
            (camera / f"cam_pose/{frame:06d}.txt").write_text(pose)
        if labelled:
            for frame, label in enumerate(_frame_labels(recording)):
                (camera / f"action_label/{frame:06d}.txt").write_text(f"{label}\n")
        lens = (LENS.fx, LENS.fy, LENS.cx, LENS.cy, LENS.width, LENS.height)
        (camera / "cam_intrinsics.txt").write_text(" ".join(map(str, lens)) + "\n")

    def write_index(
        self,
        root: Path,
        config: WorldConfig,
        sequences: Sequence[tuple[SequencePlan, Sequence[ActedClip]]],
    ) -> None:
        """Write the split files from what the sequences hold."""
        folder = root / "label_split"
        folder.mkdir(exist_ok=True)
        for split in SPLITS:
            rows = _rows([entry for entry in sequences if entry[0].split == split])
            published = _table(rows, hide_label=split == "test")
            (folder / f"action_{split}.txt").write_text(published)
            if split == "test":
                labelled = _table(rows, hide_label=False)
                (folder / "action_test_labelled.txt").write_text(labelled)

    def read_contents(self, root: Path, split: str) -> list[ClipContent]:
        """Digests of every clip of a split, from the files alone."""
        name = "test_labelled" if split == "test" else split
        table = root / "label_split" / f"action_{name}.txt"
        contents = []
        for line in table.read_text().splitlines()[1:]:
            _, path, label, start, end, _, _ = line.split()
            subject, area, take = path.split("/")
            camera = root / f"{subject}_ego" / area / take / "cam4"
            frames = range(int(start), int(end) + 1)
            contents.append(
                ClipContent(
                    action=_ACTION_OF_ID[int(label)],
                    video=_digest(camera, "rgb256/{:06d}.jpg", frames),
                    skeleton=_digest(camera, "hand_pose/{:06d}.txt", frames),
                )
            )
        return contents


def _rows(sequences: Sequence[tuple[SequencePlan, Sequence[ActedClip]]]) -> list[tuple]:
    ordered = sorted(sequences, key=lambda entry: entry[0].path)
    rows: list[tuple] = []
    for plan, segments in ordered:
        for segment in segments:
            span = (segment.start, segment.end, 0, segments[-1].end)
            rows.append((len(rows) + 1, plan.path, segment.action.h2o_id, *span))
    return rows


def _table(rows: Sequence[tuple], *, hide_label: bool) -> str:
    hidden = _COLUMNS.index("action_label") if hide_label else None
    lines = [
        " ".join(str(cell) for column, cell in enumerate(row) if column != hidden)
        for row in (_COLUMNS, *rows)
    ]
    return "\n".join(lines) + "\n"


def _frame_labels(recording: Recording) -> np.ndarray:
    """H2O's label of every frame, (N,): 0 between the actions."""
    labels = np.zeros(len(recording.images), dtype=int)
    for segment in recording.segments:
        labels[segment.start : segment.end + 1] = segment.action.h2o_id
    return labels


def _hand_line(joints: np.ndarray, valid: np.ndarray) -> str:
    """128 numbers: flag and 63 coordinates of the left hand, then of the right."""
    flags = valid.astype(np.float64)[:, None]
    return _numbers(np.concatenate((flags, joints.reshape(2, -1)), axis=1))


def _numbers(values: np.ndarray) -> str:
    # micrometres; adding 0.0 turns -0.0 into 0.0
    rounded = np.round(values, 6).ravel() + 0.0
    return " ".join(map(repr, rounded.tolist())) + "\n"


def _digest(camera: Path, template: str, frames: range) -> str:
    return digest((camera / template.format(f)).read_bytes() for f in frames)
