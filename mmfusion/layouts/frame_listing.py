"""Folders of numbered files, as H2O and OakInk2 publish their images."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class FrameListing:
    """The numbered files of one folder: ``{number:06d}{suffix}``, sorted."""

    folder: Path
    suffix: str
    ids: np.ndarray


def list_frames(folder: Path, suffixes: Iterable[str]) -> FrameListing | None:
    """The numbered files of ``folder`` with the commonest of ``suffixes``, or None."""
    numbers: dict[str, list[int]] = {suffix: [] for suffix in suffixes}
    for entry in folder.iterdir():
        if entry.suffix in numbers and re.fullmatch(r"\d{6}", entry.stem):
            numbers[entry.suffix].append(int(entry.stem))
    suffix = max(numbers, key=lambda key: len(numbers[key]))
    if not numbers[suffix]:
        return None
    return FrameListing(folder, suffix, np.array(sorted(numbers[suffix]), np.int64))


def image_size(images: FrameListing) -> tuple[int, int]:
    """Width and height of the first image, from its header."""
    with Image.open(images.folder / f"{images.ids[0]:06d}{images.suffix}") as image:
        return image.size


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
