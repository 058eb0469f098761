"""TinyEgo in the published layout of OakInk2: one egocentric camera, ids at 120 Hz.

OakInk2's classes are primitives without a noun of their own, though some name one
(brush_whiteboard): TinyEgo's primitives are `<verb>_<noun>`. Its joints come from a
licensed hand model; here they are written as the converter's joint files, in `joints/`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import pickle
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.utils.safe_pickle import safe_load

from .actions import ACTIONS, NOUNS, Action
from .ceilings import ClipContent
from .digest import digest
from .motion import LENS
from .plan import SPLITS, SequencePlan, WorldConfig
from .recording import ActedClip, Recording
from .world import TwinWorld

CAMERA, SERIAL = "egocentric", "40000001"
# published images have this size, and intrinsics refer to it
_PUBLISHED_SIZE = (848, 480)
# ids count at 120 Hz from the start of motion capture, images exist at every fourth;
# an odd first id, since nothing promises multiples of four
_ID_STEP, _FIRST_ID = 4, 121
_ACTION_OF_PRIMITIVE = {a.name.replace(" ", "_"): a.index for a in ACTIONS}


class OakInk2Layout:
    """Writes and reads back TinyEgo as OakInk2."""

    name = "oakink2"
    world = TwinWorld()

    def sequence_path(self, config: WorldConfig, plan: SequencePlan) -> Path:
        """The images of one sequence, under the root."""
        return Path("data", _token(config, plan))

    def write_sequence(
        self, root: Path, path: Path, config: WorldConfig, recording: Recording
    ) -> None:
        """Write the files beside the images, then the folder of images."""
        token = _token(config, recording.plan)
        ids = _FIRST_ID + _ID_STEP * np.arange(len(recording.images))
        poses = np.round(recording.camera_to_world, 9)
        _write(
            root / f"anno_preview/{token}.pkl", pickle.dumps(_annotation(ids, poses))
        )
        for name, entries in _program(ids, recording.segments).items():
            text = json.dumps(entries, indent=4)
            _write(root / f"program/{name}/{token}.json", text.encode())
        world = recording.joints @ poses[:, None, :3, :3].transpose(0, 1, 3, 2)
        world = world + poses[:, None, None, :3, 3]  # (N, 2, 21, 3)
        world[~recording.valid] = 0.0
        joints = root / f"joints/{token}.npz"
        joints.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            joints,
            joints_world=np.round(world, 6).astype(np.float32),
            valid=recording.valid,
            frame_id=ids.astype(np.int64),
        )
        (path / SERIAL).mkdir(parents=True)
        for number, image in zip(ids, recording.images, strict=True):
            (path / SERIAL / f"{number:06d}.jpg").write_bytes(image)

    def write_index(
        self,
        root: Path,
        config: WorldConfig,
        sequences: Sequence[tuple[SequencePlan, Sequence[ActedClip]]],
    ) -> None:
        """Write the split files and the task of every sequence."""
        names = {
            split: [_name(config, p) for p, _ in sequences if p.split == split]
            for split in SPLITS
        }
        names["all"] = [name for split in SPLITS for name in names[split]]
        for split, members in names.items():
            lines = "".join(f"{name}\n" for name in members)
            _write(root / f"split/{split}.txt", lines.encode())
        tasks = dict.fromkeys(names["all"], "Tidy up the table.")
        _write(root / "program/task_target.json", json.dumps(tasks, indent=4).encode())

    def read_contents(self, root: Path, split: str) -> list[ClipContent]:
        """Digests of every clip of a split, from the files alone."""
        contents = []
        for name in (root / f"split/{split}.txt").read_text().split():
            token = name.replace("/", "++")
            program = json.loads(
                (root / f"program/program_info/{token}.json").read_text()
            )
            anno = safe_load(str(root / f"anno_preview/{token}.pkl"))
            with np.load(root / f"joints/{token}.npz", allow_pickle=False) as file:
                ids, valid, joints = (
                    file[key] for key in ("frame_id", "valid", "joints_world")
                )
            for key, entry in program.items():
                start, end = ast.literal_eval(key)[1]
                rows = np.flatnonzero((ids >= start) & (ids < end))
                head = [anno["cam_extr"][CAMERA][int(ids[row])] for row in rows]
                images = root / "data" / token / SERIAL
                contents.append(
                    ClipContent(
                        action=_ACTION_OF_PRIMITIVE[entry["primitive"]],
                        video=digest(
                            (images / f"{ids[row]:06d}.jpg").read_bytes()
                            for row in rows
                        ),
                        skeleton=digest(
                            part.tobytes()
                            for part in (joints[rows], valid[rows], *head)
                        ),
                    )
                )
        return contents


def _name(config: WorldConfig, plan: SequencePlan) -> str:
    """Such as scene_01__A001/seq__<20 hex digits>__2023-04-27-18-43-58."""
    key = f"{config.seed} {plan.split} {plan.index}"
    code = hashlib.sha256(key.encode()).hexdigest()[:20]
    moment = datetime(2023, 1, 1, 9) + timedelta(
        days=SPLITS.index(plan.split), minutes=plan.index
    )
    scene = f"scene_{plan.area_number:02d}__A{plan.subject:03d}"
    return f"{scene}/seq__{code}__{moment:%Y-%m-%d-%H-%M-%S}"


def _token(config: WorldConfig, plan: SequencePlan) -> str:
    return _name(config, plan).replace("/", "++")


def _annotation(ids: np.ndarray, camera_to_world: np.ndarray) -> dict[str, Any]:
    """Camera's part of anno_preview; hands and objects are left out."""
    numbers = [int(number) for number in ids]
    lens = LENS.resized(*_PUBLISHED_SIZE).matrix()
    poses = np.linalg.inv(camera_to_world)
    return {
        "cam_def": {SERIAL: CAMERA},
        "cam_selection": [CAMERA],
        "frame_id_list": numbers,
        "mocap_frame_id_list": list(range(numbers[0], numbers[-1] + _ID_STEP)),
        "cam_intr": {CAMERA: {number: lens for number in numbers}},
        "cam_extr": {CAMERA: dict(zip(numbers, poses, strict=True))},
        "obj_list": [_object_code(noun) for noun in NOUNS],
    }


def _program(
    ids: np.ndarray, segments: Sequence[ActedClip]
) -> dict[str, dict[str, dict[str, Any]]]:
    """program_info and desc_info of one sequence; the end of an interval is open."""
    info, description = {}, {}
    for segment in segments:
        interval = (int(ids[segment.start]), int(ids[segment.end]) + _ID_STEP)
        both = segment.action.verb.look == "twist"
        key = str((interval if both else None, interval))
        info[key] = _program_entry(segment.action, both=both)
        sentence = f"{segment.action.verb.name} the {segment.action.noun}."
        description[key] = {"seg_desc": sentence.capitalize(), "seg_desc_zh": ""}
    return {"program_info": info, "desc_info": description}


def _program_entry(action: Action, *, both: bool) -> dict[str, Any]:
    name = action.name.replace(" ", "_")
    objects = [_object_code(action.noun)]
    return {
        "primitive": name,
        "obj_list": objects,
        "interaction_mode": "bh_main" if both else "rh_main",
        "primitive_lh": "hold" if both else None,
        "primitive_rh": name,
        "obj_list_lh": objects if both else None,
        "obj_list_rh": objects,
    }


def _object_code(noun: str) -> str:
    return f"T01@{NOUNS.index(noun) + 1:04d}@00001"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
