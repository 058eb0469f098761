"""Processor files of transformers: how a published model wants its pixels.

The steps are those of the classes that such a file names (transformers 5.17,
``video_processing_utils.py`` and the processors of VideoMAE, TimeSformer, ViViT, V-JEPA
2, DINOv3 and BiT, which Hiera has): resize with antialiasing, crop the middle, times
the factor (less 1 for ViViT), minus the mean, divided by the deviation. The classes
need torchvision.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mmfusion.utils.errors import InputError
from mmfusion.utils.hugging_face import find_file
from mmfusion.utils.text_files import read_json

_MAX_BYTES = 1 << 20
_HALF = [0.5, 0.5, 0.5]
_IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
_CLIP = dict(  # OpenAI's
    image_mean=[0.48145466, 0.4578275, 0.40821073],
    image_std=[0.26862954, 0.26130258, 0.27577711],
)
_ALL = dict(
    do_resize=True,
    do_center_crop=True,
    do_rescale=True,
    do_normalize=True,
    resample=2,
    rescale_factor=1 / 255,
    offset=False,
    image_mean=_HALF,
    image_std=_HALF,
)
# what a class takes where its file lacks the key
_DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "VideoMAE": dict(size=224, crop_size=224),
        "Timesformer": dict(size=224, crop_size=224, **_IMAGENET),
        "Vivit": dict(size=256, crop_size=224, rescale_factor=1 / 127.5, offset=True),
        "VJEPA2": dict(crop_size=256, **_IMAGENET),
        "Bit": dict(size=224, crop_size=224, resample=3, **_CLIP),
        "DINOv3ViT": dict(
            size=dict(height=224, width=224), do_center_crop=False, **_IMAGENET
        ),
    }
)
_FILTERS = {2: "bilinear", 3: "bicubic"}  # PIL's numbers
_NAMES = ("video_preprocessor_config.json", "preprocessor_config.json")


@dataclass(frozen=True)
class Preprocessing:
    """Steps from the frames of a video to the input of a published model.

    Attributes:
        size: the shorter side in pixels that frames are resized to, or (width, height);
            None leaves them. crop: (width, height) of the middle that is kept, or None.
        resample: filter of the resizing, ``bilinear`` or ``bicubic``.
        mean, std: of the three RGB channels, on the scale 0..255.
        num_frames: that are taken of a video, or None where the file does not say.
    """

    size: int | tuple[int, int] | None
    crop: tuple[int, int] | None
    resample: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_frames: int | None = None


def find_preprocessing(
    source: str, revision: str | None = None
) -> Preprocessing | None:
    """Steps that the processor file of a published model asks for; None without one.

    Args:
        source: a folder, or a name on the hub whose files are in the local cache.
        revision: commit, tag or branch on the hub.

    Raises:
        ValueError: the file says what nothing here does.
    """
    nested = find_file(source, "processor_config.json", revision)
    if nested is not None:
        content = read_json(nested, max_bytes=_MAX_BYTES, error_type=InputError)
        for part in ("video_processor", "image_processor"):
            if isinstance(content, dict) and isinstance(content.get(part), dict):
                return parse_preprocessing(content[part], f"{nested}: {part}")
    for name in _NAMES:
        path = find_file(source, name, revision)
        if path is not None:
            content = read_json(path, max_bytes=_MAX_BYTES, error_type=InputError)
            return parse_preprocessing(content, str(path))
    return None


def read_preprocessing(source: str, revision: str | None = None) -> Preprocessing:
    """The same of a model that must have such a file.

    Raises:
        ValueError: it has none, too.
    """
    found = find_preprocessing(source, revision)
    if found is not None:
        return found
    pinned = f" --revision {revision}" if revision else ""
    raise InputError(
        f"{source} has none of {', '.join(_NAMES)} and processor_config.json here,"
        " which tell size, mean and deviation of its pixels; fetch them where there is"
        f' a network, hf download {source}{pinned} --include "*.json", or write the'
        " numbers that the config leaves None"
    )


def parse_preprocessing(content: Any, place: str) -> Preprocessing:
    """The steps that the content of a processor file stands for.

    Args:
        content: of the file. place: its name, for the error.
    """
    if not isinstance(content, dict):
        raise InputError(f"{place}: it is no JSON object, expected one")
    kind = _kind(content)
    known = {**_ALL, **_DEFAULTS.get(kind, {})}
    told = known | {key: value for key, value in content.items() if value is not None}
    if not isinstance(told["resample"], int) or told["resample"] not in _FILTERS:
        raise InputError(
            f"{place}: resample is {told['resample']}, expected one of {_FILTERS}"
        )
    crop = None
    if told["do_center_crop"]:
        crop = _pair(told.get("crop_size"), f"{place}: crop_size")
    if kind == "VJEPA2" and crop:  # whatever size the file has
        told["size"] = crop[1] * 256 // 224
    size = _size(told.get("size"), place) if told["do_resize"] else None
    mean, std = _scale(told, place)
    frames = told.get("num_frames") if told.get("do_sample_frames") else None
    if frames is not None and not (type(frames) is int and frames > 0):
        raise InputError(f"{place}: num_frames is {frames!r}, expected 1 or more")
    return Preprocessing(size, crop, _FILTERS[told["resample"]], mean, std, frames)


def _kind(content: Mapping[str, Any]) -> str:
    """``VideoMAE`` of ``VideoMAEImageProcessor``, and the like."""
    for key in ("video_processor_type", "image_processor_type"):
        if isinstance(content.get(key), str):
            name = content[key]
            return re.sub(r"(Video|Image)Processor(Fast|Pil)?$", "", name)
    return str(content.get("feature_extractor_type", "")).removesuffix(
        "FeatureExtractor"
    )


def _size(value: Any, place: str) -> int | tuple[int, int]:
    """Shorter side, or (width, height)."""
    if isinstance(value, Mapping) and "shortest_edge" in value:
        if value.get("longest_edge"):
            raise InputError(
                f"{place}: size has a longest_edge, which is not read here"
            )
        value = value["shortest_edge"]
    if type(value) is int and value > 0:
        return value
    return _pair(value, f"{place}: size")


def _pair(value: Any, place: str) -> tuple[int, int]:
    """(width, height) of a number or an object."""
    if type(value) is int:
        value = dict(height=value, width=value)
    pair = [value.get(k) for k in ("width", "height")] if _is_object(value) else []
    if len(pair) != 2 or not all(type(side) is int and side > 0 for side in pair):
        raise InputError(
            f"{place}: it is {value!r}, expected pixels, or height and width in pixels"
        )
    return pair[0], pair[1]


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _scale(
    told: Mapping[str, Any], place: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation on 0..255: (x factor - offset - m) / s is (x - mean) / std."""
    factor = told["rescale_factor"] if told["do_rescale"] else 1.0
    offset = 1.0 if told["offset"] and told["do_rescale"] else 0.0
    values = {}
    for key, idle in (("image_mean", 0.0), ("image_std", 1.0)):
        value = told[key] if told["do_normalize"] else idle
        values[key] = list(value) if isinstance(value, list | tuple) else [value] * 3
        if len(values[key]) != 3 or not all(map(_is_number, values[key])):
            raise InputError(f"{place}: {key} is {value!r}, expected 3 numbers")
    if not _is_number(factor) or factor <= 0 or min(values["image_std"]) <= 0:
        raise InputError(
            f"{place}: rescale_factor is {factor!r}, image_std {values['image_std']},"
            " expected numbers above 0"
        )
    mean = tuple((m + offset) / factor for m in values["image_mean"])
    return mean, tuple(s / factor for s in values["image_std"])
