"""The published layout of H2O (Kwon et al., ICCV 2021), read by plain functions.

What is read, under one root::

    label_split/action_{train,val,test}.txt        or action_labels/, or the root itself
        id path action_label start_act end_act start_frame end_frame
        1 subject1/h1/0 16 0 61 0 449              the test file has no action_label
    subject1_ego/h1/0/cam4/                        or subject1, subject_1, subject1_pose
        rgb256/000000.jpg | rgb/000000.png         0-based, 30 frames a second
        hand_pose/000000.txt                       128 numbers: left flag, left 21 x 3,
                                                   right flag, right 21 x 3; metres, in
                                                   the camera's frame, OpenPose order
        cam_intrinsics.txt                         fx fy cx cy width height

``start_act`` and ``end_act`` count files, both ends belong to the action, and five ends
of the training file lie one past the last annotated frame: ends are clamped.
Labels are 1..36 in the files (0 is background) and 0..35 here.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.layouts.frame_listing import (
    IMAGE_SUFFIXES,
    FrameListing,
    clip_record,
    find_split_file,
    hand_metainfo,
    image_size,
    list_frames,
    scale_camera,
)
from mmfusion.layouts.skeleton_arrays import SkeletonKind, check_skeleton
from mmfusion.utils.errors import (
    AnnotationError,
    InputError,
    MissingDataError,
    SkeletonError,
)
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import read_lines, read_text

FPS = 30.0
NUM_HANDS, NUM_JOINTS = 2, 21
NUM_POSE_VALUES = NUM_HANDS * (1 + NUM_JOINTS * 3)
LABEL_FOLDERS = ("label_split", "action_labels", ".")
FRAME_FOLDERS = ("rgb256", "rgb")
_MOST_BYTES = 65536  # of a text file of numbers

OBJECTS = (
    "book",
    "espresso",
    "lotion",
    "spray",
    "milk",
    "cocoa",
    "chips",
    "cappuccino",
)
# which objects each verb goes with; both in the order of the published numbers
_OBJECTS_OF_VERB = {
    "grab": OBJECTS,
    "place": OBJECTS,
    "open": ("lotion", "milk", "chips"),
    "close": ("lotion", "milk", "chips"),
    "pour": ("milk",),
    "take out": ("espresso", "cocoa", "chips", "cappuccino"),
    "put in": ("espresso", "cocoa", "cappuccino"),
    "apply": ("lotion", "spray"),
    "read": ("book", "espresso"),
    "spray": ("spray",),
    "squeeze": ("lotion",),
}
VERBS = tuple(_OBJECTS_OF_VERB)
ACTIONS = tuple(
    (verb, noun) for verb, nouns in _OBJECTS_OF_VERB.items() for noun in nouns
)

_COLUMNS = [
    "id",
    "path",
    "action_label",
    "start_act",
    "end_act",
    "start_frame",
    "end_frame",
]
_HIDDEN_COLUMNS = [name for name in _COLUMNS if name != "action_label"]
_SEQUENCE = re.compile(r"subject([0-9]+)/([A-Za-z0-9]+)/([0-9]+)")
_SUBJECT_FOLDER = re.compile(r"subject_?([0-9]+)(_ego|_pose)?(_v1_1)?")


@dataclass(frozen=True, slots=True)
class H2OClip:
    """One row of an action file; frames inclusive, the label 0-based or hidden."""

    row: int
    sequence: str
    action: int | None
    start: int
    end: int
    last_frame: int


@dataclass(frozen=True, slots=True)
class H2OSequence:
    """The files of one sequence seen by the head camera; None where there are none."""

    name: str
    frames: FrameListing | None
    poses: FrameListing | None
    camera: dict[str, float] | None

    @property
    def last_id(self) -> int:
        """Number of the last file that every stream at hand has."""
        listings = [x for x in (self.frames, self.poses) if x is not None]
        return min(int(listing.ids[-1]) for listing in listings)


def classes() -> dict[str, list[str]]:
    """Class names of the three tasks: 36 actions, 11 verbs, 8 nouns."""
    return {
        "action": [f"{verb} {noun}" for verb, noun in ACTIONS],
        "verb": list(VERBS),
        "noun": list(OBJECTS),
    }


METAINFO = hand_metainfo("h2o", classes())
HANDS = SkeletonKind.of(METAINFO["skeleton"])


def labels_of(action: int) -> dict[str, int]:
    """Labels of the three tasks for a 0-based action number, 0..35."""
    verb, noun = ACTIONS[action]
    return {"action": action, "verb": VERBS.index(verb), "noun": OBJECTS.index(noun)}


def find_action_file(root: Path, split: str) -> Path:
    """The action file of a split."""
    return find_split_file(
        root, LABEL_FOLDERS, "action_{split}.txt", split, "H2O's label_split.zip"
    )


def read_action_file(path: Path) -> list[H2OClip]:
    """Every row of an action file, checked.

    Raises:
        AnnotationError: a malformed line; the message names file and line.
    """
    lines = list(read_lines(path))
    header = lines[0][1].split() if lines else []
    if header not in (_COLUMNS, _HIDDEN_COLUMNS):
        raise AnnotationError(
            f"{path}:1: header is {shown(' '.join(header))}, expected"
            f" {' '.join(_COLUMNS)!r} (without action_label in the test file)"
        )
    clips = [
        _parse_row(f"{path}:{number}", line.split(), header)
        for number, line in lines[1:]
    ]
    twice = [row for row, n in Counter(clip.row for clip in clips).items() if n > 1]
    if twice:
        raise AnnotationError(f"{path}: id {twice[0]} stands on more than one line")
    return clips


def _parse_row(where: str, fields: list[str], header: list[str]) -> H2OClip:
    """One row; ``where`` is file:line and opens every error."""
    if len(fields) != len(header):
        raise AnnotationError(
            f"{where}: {len(fields)} columns, expected {len(header)}:"
            f" {' '.join(header)}"
        )
    row = dict(zip(header, fields, strict=True))
    sequence = row.pop("path")
    if not _SEQUENCE.fullmatch(sequence):
        raise AnnotationError(
            f"{where}: path is {shown(sequence)}, expected e.g. subject1/h1/0"
        )
    value = {name: _integer(where, name, text) for name, text in row.items()}
    label = value.get("action_label")
    if label is not None and not 1 <= label <= len(ACTIONS):
        raise AnnotationError(
            f"{where}: action_label is {label}, expected 1..{len(ACTIONS)}"
        )
    for name in ("id", "start_frame", "end_frame"):
        if value[name] < 0:
            raise AnnotationError(
                f"{where}: {name} is {value[name]}, expected 0 or more"
            )
    if not 0 <= value["start_act"] <= value["end_act"]:
        raise AnnotationError(
            f"{where}: start_act {value['start_act']} and end_act {value['end_act']},"
            " expected 0 <= start_act <= end_act"
        )
    return H2OClip(
        row=value["id"],
        sequence=sequence,
        action=None if label is None else label - 1,
        start=value["start_act"],
        end=value["end_act"],
        last_frame=value["end_frame"],
    )


def _integer(where: str, name: str, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise AnnotationError(f"{where}: {name} is {shown(text)}, expected an integer")
    return int(text)


def camera_folders(root: Path, sequence: str) -> list[Path]:
    """The head camera's folders of a sequence under every spelling of its subject.

    The archives unpack side by side (images in one, poses in another), so a sequence
    may have more than one.
    """
    match = _SEQUENCE.fullmatch(sequence)
    if match is None:
        raise InputError(f"sequence is {sequence!r}, expected e.g. subject1/h1/0")
    number, place, take = match.groups()
    subjects = sorted(
        entry
        for entry in root.iterdir()
        if (name := _SUBJECT_FOLDER.fullmatch(entry.name)) and name[1] == number
    )
    found = [subject / place / take / "cam4" for subject in subjects]
    return [folder for folder in found if folder.is_dir()]


def stream_folder(cameras: Sequence[Path], name: str) -> Path | None:
    """The folder of a stream, whatever its case (rgb256, RGB256)."""
    for camera in cameras:
        for entry in sorted(camera.iterdir()):
            if entry.name.lower() == name and entry.is_dir():
                return entry
    return None


def scan_sequence(root: Path, sequence: str, frames: str = "auto") -> H2OSequence:
    """List the files of a sequence; opens only the intrinsics and one image's header.

    Args:
        root: the folder that holds the subjects. sequence: e.g. ``subject1/h1/0``.
        frames: ``rgb256``, ``rgb``, or ``auto``: the small images where there are any.

    Raises:
        MissingDataError: no folder of the sequence, or nothing to use in it.
    """
    if frames not in ("auto", *FRAME_FOLDERS):
        raise InputError(f"frames is {frames!r}, expected auto, rgb256 or rgb")
    cameras = camera_folders(root, sequence)
    if not cameras:
        subject, rest = sequence.split("/", 1)
        raise MissingDataError(
            f"{sequence}: no {subject}/{rest}/cam4, {subject}_ego/{rest}/cam4 or"
            f" {subject.replace('subject', 'subject_')}/{rest}/cam4 under {root}"
        )
    images = None
    for name in FRAME_FOLDERS if frames == "auto" else (frames,):
        folder = stream_folder(cameras, name)
        images = list_frames(folder, IMAGE_SUFFIXES) if folder else None
        if images is not None:
            break
    folder = stream_folder(cameras, "hand_pose")
    poses = list_frames(folder, (".txt",)) if folder else None
    if images is None and poses is None:
        raise MissingDataError(
            f"{sequence}: {cameras[0]} holds neither images (rgb256/ or rgb/) nor"
            " hand_pose/"
        )
    return H2OSequence(sequence, images, poses, _camera(cameras, images))


def _camera(
    cameras: Sequence[Path], images: FrameListing | None
) -> dict[str, float] | None:
    """Intrinsics for the images at hand; None without a file."""
    paths = [path for c in cameras if (path := c / "cam_intrinsics.txt").is_file()]
    if not paths:
        return None
    camera = read_intrinsics(paths[0])
    if images is None:
        return camera
    return scale_camera(camera, image_size(images))


def read_intrinsics(path: Path) -> dict[str, float]:
    """fx, fy, cx, cy, width, height in pixels, of ``cam_intrinsics.txt``."""
    values = _numbers(path, 6)
    if not ((values > 0) & np.isfinite(values)).all():
        raise InputError(f"{path}: {values.tolist()}, expected six positive numbers")
    names = ("fx", "fy", "cx", "cy", "width", "height")
    return dict(zip(names, (float(value) for value in values), strict=True))


def read_hand_pose(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Joints (2, 21, 3) float32 in metres and valid (2,) bool, left hand first.

    A hand whose flag is 0 is not annotated: its joints are zeros.
    """
    values = _numbers(path, NUM_POSE_VALUES).reshape(NUM_HANDS, -1)
    flags = values[:, 0]
    if not np.isin(flags, (0, 1)).all():
        raise SkeletonError(str(path), f"flags are {flags.tolist()}, expected 0 or 1")
    valid = flags == 1
    joints = values[:, 1:].reshape(NUM_HANDS, NUM_JOINTS, 3)
    if not np.isfinite(joints[valid]).all():
        raise SkeletonError(str(path), "a joint of an annotated hand is not finite")
    return np.where(valid[:, None, None], joints, 0).astype(np.float32), valid


def _numbers(path: Path, count: int) -> np.ndarray:
    """The numbers of a small text file, exactly ``count`` of them."""
    text = read_text(path, max_bytes=_MOST_BYTES, error_type=SkeletonError)
    try:
        if not text.isascii() or "_" in text:  # which Python takes for digits, too
            raise InputError("a character that is no digit")
        values = np.array(text.split(), dtype=np.float64)
    except ValueError as error:
        raise SkeletonError(str(path), f"not plain numbers ({error!s:.200})") from error
    if values.size != count:
        raise SkeletonError(
            str(path), f"{values.size} numbers, expected {count} on one line"
        )
    return values


def read_skeleton(poses: FrameListing) -> tuple[np.ndarray, np.ndarray]:
    """All hand poses of a sequence: joints (t, 2, 21, 3) float32, valid (t, 2) bool.

    Raises:
        SkeletonError: a file is malformed, or its hands are none; names the file.
    """
    joints = np.zeros((len(poses.ids), NUM_HANDS, NUM_JOINTS, 3), np.float32)
    valid = np.zeros((len(poses.ids), NUM_HANDS), bool)
    for row, number in enumerate(poses.ids):
        joints[row], valid[row] = read_hand_pose(poses.folder / f"{number:06d}.txt")
    try:
        found = check_skeleton("", {"keypoint": joints, "valid": valid}, HANDS)
    except SkeletonError:
        for row, number in enumerate(poses.ids):
            one = {"keypoint": joints[row : row + 1], "valid": valid[row : row + 1]}
            check_skeleton(str(poses.folder / f"{number:06d}.txt"), one, HANDS)
        raise
    return found.keypoint, found.valid


def clamp_clip(clip: H2OClip, last_id: int) -> tuple[int, int] | None:
    """First and last frame of a clip that exist, or None when all of it lies beyond."""
    if clip.start > last_id:
        return None
    return clip.start, min(clip.end, last_id)


def skeleton_name(sequence: str) -> str:
    """File name of a sequence's skeleton cache: ``subject1_h1_0.npz``."""
    return sequence.replace("/", "_") + ".npz"


def make_record(
    clip: H2OClip,
    split: str,
    sequence: H2OSequence,
    *,
    frame_dir: str | None,
    skeleton_file: str | None,
) -> dict[str, Any] | None:
    """The annotation record of a clip, or None when none of its frames exist.

    ``frame_dir`` and ``skeleton_file`` are relative to the data root; None without.
    """
    interval = clamp_clip(clip, sequence.last_id)
    if interval is None:
        return None
    record = clip_record(
        f"{clip.sequence}#{clip.row}",
        split,
        interval,
        FPS,
        frame_dir=frame_dir,
        skeleton_file=skeleton_file,
        camera=sequence.camera,
        label={} if clip.action is None else labels_of(clip.action),
    )
    if sequence.frames is not None and frame_dir is not None:
        ids = sequence.frames.ids
        record["filename_tmpl"] = "{:06d}" + sequence.frames.suffix
        record["total_frames"] = int(ids[-1]) + 1
        if len(ids) != ids[-1] + 1:  # holes: the loader takes the nearest that exists
            start, end = interval
            record["frame_ids"] = ids[(ids >= start) & (ids <= end)].tolist()
            if not record["frame_ids"]:
                return None
    return record
