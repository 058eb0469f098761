"""Parts that H2O and OakInk2 share: lists of a split, folders of numbered images."""

import re
import struct
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmfusion.layouts.skeleton_arrays import TWO_HANDS
from mmfusion.utils.errors import FrameFolderError, InputError, MissingDataError

SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class FrameListing:
    """The numbered files of one folder: ``{number:06d}{suffix}``, sorted."""

    folder: Path
    suffix: str
    ids: np.ndarray


def find_split_file(
    root: Path, folders: Sequence[str], name: str, split: str, origin: str
) -> Path:
    """The file of a split, under any of the folders that it is known to lie in.

    ``{split}`` in ``name`` stands for the split; ``origin`` is the published archive
    that has the file, for the error.

    Raises:
        MissingDataError: there is none; the message lists the places looked at.
    """
    if split not in SPLITS:
        raise InputError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    file = name.format(split=split)
    tried = [root / folder / file for folder in folders]
    for path in tried:
        if path.is_file():
            return path
    places = ", ".join(str(path) for path in tried)
    raise MissingDataError(f"{file} (of {origin}) is missing; looked for {places}")


def hand_metainfo(dataset: str, classes: dict[str, list[str]]) -> dict[str, Any]:
    """Metainfo of a data set with two hands in metres before the head camera."""
    skeleton = dict(TWO_HANDS)
    return {"version": 1, "dataset": dataset, "classes": classes, "skeleton": skeleton}


def clip_record(
    name: str,
    split: str,
    interval: tuple[int, int],
    fps: float,
    *,
    frame_dir: str | None,
    skeleton_file: str | None,
    camera: dict[str, float] | None,
    label: dict[str, int],
) -> dict[str, Any]:
    """The parts of an annotation record that both data sets have.

    Args:
        name: the clip's, ``<sequence>#<number>``.
        interval: first and last frame, both included, numbered at ``fps``.
        frame_dir, skeleton_file: relative to the data root; None without.
        split, fps, camera, label: see ``annotation_schema.py``.
    """
    start, end = interval
    record: dict[str, Any] = {
        "id": name,
        "group": name.rpartition("#")[0],
        "split": split,
        "frame_dir": frame_dir,
        "start_sec": start / fps,
        "end_sec": (end + 1) / fps,
        "start_frame": start,
        "end_frame": end,
        "index_fps": fps,
        "skeleton": {"file": skeleton_file} if skeleton_file else None,
        "label": label,
        "camera": camera,
    }
    return {key: value for key, value in record.items() if value is not None}


def list_frames(folder: Path, suffixes: Iterable[str]) -> FrameListing | None:
    """The numbered files of ``folder`` with the commonest of ``suffixes``, or None.

    Raises:
        FrameFolderError: a number is there with another suffix only: the folder is half
            converted, say, and frames would be left out.
    """
    numbers: dict[str, list[int]] = {suffix: [] for suffix in suffixes}
    for entry in folder.iterdir():
        if entry.suffix in numbers and re.fullmatch(r"[0-9]{6}", entry.stem):
            numbers[entry.suffix].append(int(entry.stem))
    suffix = max(numbers, key=lambda key: len(numbers[key]))
    if not numbers[suffix]:
        return None
    for other in sorted(numbers):
        lacking = sorted(set(numbers[other]) - set(numbers[suffix]))
        if lacking:
            raise FrameFolderError(
                str(folder),
                f"{len(lacking)} of its frames, the first of them {lacking[0]:06d}, are"
                f" there as {other} only, {len(numbers[suffix])} as {suffix}; expected"
                " one kind for all: convert the rest, or move it away",
            )
    return FrameListing(folder, suffix, np.array(sorted(numbers[suffix]), np.int64))


def image_size(images: FrameListing) -> tuple[int, int]:
    """Width and height of the first image, from its header.

    Raises:
        FrameFolderError: it is no picture.
    """
    path = images.folder / f"{images.ids[0]:06d}{images.suffix}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return image.size
    except (OSError, ValueError, SyntaxError, struct.error) as error:
        raise FrameFolderError(str(path), f"no readable picture ({error})") from error
    except Image.DecompressionBombError as error:
        raise FrameFolderError(str(path), str(error)) from error


def scale_camera(camera: dict[str, float], size: tuple[int, int]) -> dict[str, float]:
    """Intrinsics of the same camera for images resized to ``size`` (width, height)."""
    scale_x = size[0] / camera["width"]
    scale_y = size[1] / camera["height"]
    return {
        "fx": camera["fx"] * scale_x,
        "fy": camera["fy"] * scale_y,
        "cx": camera["cx"] * scale_x,
        "cy": camera["cy"] * scale_y,
        "width": float(size[0]),
        "height": float(size[1]),
    }
