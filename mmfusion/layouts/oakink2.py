"""The published layout of OakInk2 (Zhan et al., CVPR 2024), read by plain functions.

What is read, under one root; ``<token>`` is the sequence with ``++`` for its slash::

    split/{train,val,test}.txt              or asset/split/: one sequence a line,
        scene_01__A001/seq__9e46184387ba83f60895__2023-04-27-18-43-58
    program/program_info/<token>.json       {"(lh, rh)": {"primitive": ..., ...}}
    program/desc_info/<token>.json          {"(lh, rh)": {"seg_desc": ...}}; optional
    program/task_target.json                {sequence: sentence}; optional
    anno_preview/<token>.pkl                cam_def {serial: name}, frame_id_list,
        cam_intr[name][id] 3x3, cam_extr[name][id] 4x4 (world to camera),
        raw_mano[id]; a pickle with torch tensors, read without running anything in it
    data/<token>/<serial>/<id:06d>.jpg      or .png, 848 x 480

A key is a Python tuple of two intervals (left hand, right hand), each ``(begin, end)``
or None. Intervals are motion capture frames, 120 a second, the end excluded. Images
are numbered on the same clock, so about every fourth number exists: they are looked up
by number, never by dividing.

Joints are not published. Those computed beforehand come as one ``<token>.npz`` each:
``joints_world`` (t, 2, 21, 3) in metres in the world frame, OpenPose order, left hand
first; ``valid`` (t, 2) or (t, 2, 21) bool; ``frame_id`` (t,) rising, on that clock.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from mmfusion.layouts.frame_arrays import as_integers
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
from mmfusion.layouts.skeleton_arrays import TWO_HANDS, SkeletonKind, check_skeleton
from mmfusion.utils.errors import (
    AnnotationError,
    InputError,
    MissingDataError,
    SkeletonError,
)
from mmfusion.utils.npz_file import read_npz
from mmfusion.utils.safe_pickle import safe_load
from mmfusion.utils.schema import Schema, shown
from mmfusion.utils.text_files import read_json, read_lines

FPS = 120.0
IMAGE_STEP = 4  # 30 images a second on a clock of 120
SPLIT_FOLDERS = ("split", "asset/split", ".")
TRANSIENT = ("hold", "rearrange", "swap")
UNKNOWN = "?(unk)"
EGOCENTRIC = "egocentric"
IMAGE_SIZE = (848, 480)
IN_CAMERA = SkeletonKind.of(TWO_HANDS)
IN_WORLD = SkeletonKind.of({**TWO_HANDS, "frame": "world"})
_MAX_BYTES = 2 * 2**30  # of one npz, unpacked

_SEQUENCE = re.compile(r"[\w-]{1,200}/[\w-]{1,200}")
_MAX_KEY = 1000  # characters of a key of a program
_ANNO_KEYS = ("cam_def", "frame_id_list", "cam_intr", "cam_extr")

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Primitive:
    """One entry of a program: an action of one or both hands.

    ``start`` and ``end`` are those of the shortest interval that holds both hands';
    the end is excluded, as in the file.
    """

    sequence: str
    number: int
    name: str
    left: Interval | None
    right: Interval | None
    description: str | None

    @property
    def start(self) -> int:
        return min(one[0] for one in (self.left, self.right) if one is not None)

    @property
    def end(self) -> int:
        return max(one[1] for one in (self.left, self.right) if one is not None)


@dataclass(frozen=True, slots=True)
class EgoView:
    """The pictures and the camera of a sequence, seen by the wearer.

    Args:
        frame_dir: folder of the images relative to the data root; None without images.
        suffix: of the image files.
        frame_ids: numbers of the images that exist.
        num_missing: images that the annotation lists and that do not exist.
        camera: intrinsics in pixels of these images.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    sequence: Annotated[StrictStr, Field(description="a name")]
    frame_dir: Annotated[StrictStr | None, Field(description="a folder, or null")]
    suffix: Annotated[StrictStr | None, Field(description="a suffix, or null")]
    frame_ids: Annotated[list[StrictInt], Field(description="a list of numbers")]
    num_missing: Annotated[StrictInt, Field(description="a count")]
    camera: Annotated[
        dict[StrictStr, StrictFloat] | None, Field(description="intrinsics, or null")
    ]


_VIEW = Schema(EgoView)


def read_view(path: Path) -> EgoView:
    """The view in a JSON file of what ``dataclasses.asdict`` makes of it.

    Raises:
        AnnotationError: names file and key, what came and what was expected.
    """
    try:
        return _VIEW.check(read_json(path))
    except InputError as error:
        raise AnnotationError(f"{path}: {error}") from None


def token_of(sequence: str) -> str:
    """The name of a sequence in file names: ``++`` for the slash."""
    return sequence.replace("/", "++")


def read_split(root: Path, split: str) -> list[str]:
    """The sequences of a split.

    Raises:
        MissingDataError: it is not there.
        AnnotationError: a malformed line; the message names file and line.
    """
    path = find_split_file(
        root, SPLIT_FOLDERS, "{split}.txt", split, "OakInk2-TaMF's asset/split"
    )
    names = []
    for number, line in read_lines(path):
        if not _SEQUENCE.fullmatch(line):
            raise AnnotationError(
                f"{path}:{number}: {shown(line)}, expected e.g. scene_01__A001/seq__..."
            )
        if line in names:
            raise AnnotationError(f"{path}:{number}: {line!r} comes twice")
        names.append(line)
    return names


def read_program(program: Path, sequence: str) -> list[Primitive]:
    """Every primitive of a sequence, in the order of the file, with its description.

    Raises:
        MissingDataError: the sequence has no program_info.
        AnnotationError: a key or an entry is malformed; the message names file and key.
    """
    file = f"{token_of(sequence)}.json"
    path = program / "program_info" / file
    if not path.is_file():
        raise MissingDataError(f"{path} is missing")
    entries = _read_entries(path)
    described = program / "desc_info" / file
    texts = _read_entries(described) if described.is_file() else {}
    primitives = []
    for number, (key, entry) in enumerate(entries.items()):
        name = entry.get("primitive")
        if not isinstance(name, str) or not name:
            raise AnnotationError(
                f"{path}: primitive of {key} is {shown(name)}, expected a name"
            )
        text = texts.get(key, {}).get("seg_desc")
        if not isinstance(text, str | None):
            raise AnnotationError(
                f"{described}: seg_desc of {key} is {shown(text)}, expected a text"
            )
        primitives.append(Primitive(sequence, number, name, *key, text))
    return primitives


def _read_entries(
    path: Path,
) -> dict[tuple[Interval | None, Interval | None], dict[str, Any]]:
    """A JSON object whose keys are tuple literals, with the keys read and checked."""
    entries = {}
    for text, entry in _read_object(path).items():
        if not isinstance(entry, dict):
            raise AnnotationError(
                f"{path}: entry {shown(text)} is {shown(entry)}, expected an object"
            )
        entries[parse_key(text, str(path))] = entry
    return entries


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise AnnotationError(
            f"{path} holds a {type(content).__name__}, expected an object"
        )
    return content


def parse_key(text: str, where: str) -> tuple[Interval | None, Interval | None]:
    """The two intervals, left hand and right hand, of a key such as ``(None, (2, 9))``.

    Raises:
        AnnotationError: it is no such key; ``where`` opens the message.
    """
    try:
        key = ast.literal_eval(text[:_MAX_KEY])
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        key = None
    if not isinstance(key, tuple) or len(key) != 2 or key == (None, None):
        raise AnnotationError(
            f"{where}: key {text!r:.80}, expected '(left, right)' of (begin, end) or"
            " None, not both None"
        )
    for interval in key:
        if interval is not None and not _is_interval(interval):
            raise AnnotationError(
                f"{where}: key {text!r:.80}: interval {interval!r:.40}, expected"
                " (begin, end) with 0 <= begin < end < 2**31"
            )
    return key


def _is_interval(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(type(number) is int for number in value)
        and 0 <= value[0] < value[1] < 2**31
    )


def is_action(primitive: Primitive) -> bool:
    """Tell whether it is a class for recognition: neither transient nor unknown."""
    return primitive.name not in (*TRANSIENT, UNKNOWN)


def read_task_targets(program: Path) -> dict[str, str]:
    """``{sequence: what is to be achieved}``; empty where there is no such file."""
    path = program / "task_target.json"
    if not path.is_file():
        return {}
    targets = _read_object(path)
    for name, text in targets.items():
        if not isinstance(text, str):
            raise AnnotationError(
                f"{path}: target of {shown(name)} is {shown(text)}, expected a text"
            )
    return targets


def read_annotation_pickle(path: Path) -> dict[str, Any]:
    """The annotation of a sequence; tensors stay tensors, nothing in the file runs.

    Raises:
        MissingDataError: there is none.
        AnnotationError: it is refused, or lacks a key.
    """
    content = safe_load(str(path), with_torch=True)
    if not isinstance(content, dict):
        raise AnnotationError(
            f"{path} holds a {type(content).__name__}, expected a dict"
        )
    lacking = [key for key in _ANNO_KEYS if key not in content]
    if lacking:
        raise AnnotationError(f"{path} lacks {', '.join(lacking)}")
    try:
        as_integers(content["frame_id_list"], "frame_id_list")
    except InputError as error:
        raise AnnotationError(f"{path}: {error}") from None
    if not isinstance(content["cam_def"], dict):
        raise AnnotationError(f"{path}: cam_def is no dict of serials and names")
    for key in ("cam_intr", "cam_extr"):
        cameras = content[key]
        if not isinstance(cameras, dict) or EGOCENTRIC not in cameras:
            raise AnnotationError(f"{path}: {key} has no camera {EGOCENTRIC!r}")
        if not isinstance(cameras[EGOCENTRIC], dict) or not cameras[EGOCENTRIC]:
            raise AnnotationError(f"{path}: {key} of {EGOCENTRIC!r} has no frames")
    try:
        egocentric_camera(content, None)
    except AnnotationError as error:
        raise AnnotationError(f"{path}: {error}") from None
    return content


def egocentric_frames(root: Path, sequence: str, anno: Mapping) -> FrameListing | None:
    """The images of the egocentric camera, which ``cam_def`` names by its serial."""
    for serial, name in anno["cam_def"].items():
        folder = root / "data" / token_of(sequence) / str(serial)
        if name == EGOCENTRIC and folder.is_dir():
            return list_frames(folder, IMAGE_SUFFIXES)
    return None


def egocentric_camera(anno: Mapping, frames: FrameListing | None) -> dict[str, float]:
    """Intrinsics in pixels, from the first matrix of the camera.

    They fit the images at hand; without ``frames``, those of the published size.
    """
    number, value = next(iter(anno["cam_intr"][EGOCENTRIC].items()))
    matrix = _matrix(value, 3, f"cam_intr of frame {number!r}")
    if not min(matrix[0, 0], matrix[1, 1]) > 0:
        raise AnnotationError(
            f"cam_intr of frame {number!r} is {matrix.tolist()}, expected focal lengths"
            " above 0"
        )
    camera = {
        "fx": float(matrix[0, 0]),
        "fy": float(matrix[1, 1]),
        "cx": float(matrix[0, 2]),
        "cy": float(matrix[1, 2]),
        "width": float(IMAGE_SIZE[0]),
        "height": float(IMAGE_SIZE[1]),
    }
    return camera if frames is None else scale_camera(camera, image_size(frames))


def _matrix(value: Any, size: int, what: str) -> np.ndarray:
    """A matrix (size, size) of finite numbers."""
    try:
        matrix = np.asarray(value, float)
    except (TypeError, ValueError, RuntimeError):
        matrix = np.zeros(0)
    if matrix.shape != (size, size) or not np.isfinite(matrix).all():
        raise AnnotationError(
            f"{what} is {shown(value)}, expected {size} x {size} finite numbers"
        )
    return matrix


def read_joints(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints computed beforehand, in the world, valid and frame_id, as the module says.

    Raises:
        SkeletonError: keys, shapes or values are not those in the module's description.
    """
    keys = ("joints_world", "valid", "frame_id")
    arrays = read_npz(str(path), max_bytes=_MAX_BYTES, error=SkeletonError)
    lacking = [key for key in keys if key not in arrays]
    if lacking:
        reason = f"it lacks {lacking}; expected an npz with {', '.join(keys)}"
        raise SkeletonError(str(path), reason)
    given = {key: arrays[key] for key in keys[1:]}
    given["keypoint"] = arrays["joints_world"]
    found = check_skeleton(str(path), given, IN_WORLD)
    return found.keypoint, found.valid, found.frame_id


def to_camera(
    joints: np.ndarray, valid: np.ndarray, frame_id: np.ndarray, anno: Mapping
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move joints into the egocentric camera; frames without its pose are left out.

    Args:
        joints, valid, frame_id: as :func:`read_joints` gives them.
        anno: the annotation; its ``cam_extr`` are 4x4, world to camera.

    Returns:
        Joints (t', 2, 21, 3) float32 in the camera's frame, zeros where not valid;
        valid (t', 2) or (t', 2, 21); frame_id (t',).
    """
    poses = anno["cam_extr"][EGOCENTRIC]
    rows = [row for row, number in enumerate(frame_id) if int(number) in poses]
    if not rows:
        raise AnnotationError(
            "no frame of the joints has a pose of the egocentric camera"
        )
    numbers = frame_id[rows].tolist()
    matrices = np.stack(
        [_matrix(poses[n], 4, f"cam_extr of frame {n}") for n in numbers]
    )
    moved = np.einsum("tab,thjb->thja", matrices[:, :3, :3], joints[rows])
    moved += matrices[:, None, None, :3, 3]  # (t', 2, 21, 3)
    arrays = {"keypoint": moved, "valid": valid[rows], "frame_id": frame_id[rows]}
    found = check_skeleton("the joints in the egocentric camera", arrays, IN_CAMERA)
    return found.keypoint, found.valid, found.frame_id


def make_record(
    primitive: Primitive,
    split: str,
    view: EgoView,
    *,
    classes: Sequence[str],
    skeleton_file: str | None,
    target: str | None,
) -> dict[str, Any] | None:
    """The annotation record of a primitive, or None when no image lies in it.

    Args:
        classes: names of the task ``action``, that of the primitive among them.
        skeleton_file: skeleton cache relative to the data root, None without one.
        target: the sequence's entry in task_target.json.
    """
    start, end = primitive.start, primitive.end - 1
    frames: dict[str, Any] = {}
    if view.frame_dir is not None:
        ids = [number for number in view.frame_ids if start <= number <= end]
        if not ids:
            return None
        end = min(end, view.frame_ids[-1] + IMAGE_STEP - 1)
        frames = {
            "frame_ids": ids,
            "filename_tmpl": "{:06d}" + str(view.suffix),
            "total_frames": view.frame_ids[-1] + 1,
        }
    record = clip_record(
        f"{primitive.sequence}#{primitive.number}",
        split,
        (start, end),
        FPS,
        frame_dir=view.frame_dir,
        skeleton_file=skeleton_file,
        camera=view.camera,
        label={"action": classes.index(primitive.name)},
    )
    text = {"narration": primitive.description, "task": target}
    return {**record, **frames, "text": text}


def metainfo(classes: Sequence[str]) -> dict[str, Any]:
    """Metainfo of the annotation for these class names."""
    return hand_metainfo("oakink2", {"action": list(classes)})
