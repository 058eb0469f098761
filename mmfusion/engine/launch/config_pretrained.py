"""Values that a config leaves None and the files of a published model tell.

``num_frames``, ``img_size`` and ``embed_dims`` of a :class:`HFVideoEncoder` come from
its ``config.json``; ``mean`` and ``std`` of the model's preprocessor, ``size`` and
``resample`` of ResizeFrames and ``crop_size`` from the processor file beside it. Where
the encoder's ``img_size`` is not the crop of that file, the size to which frames are
resized before the crop changes with it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mmfusion.engine.launch.argument_check import class_name
from mmfusion.layouts.video_processors import (
    Preprocessing,
    find_preprocessing,
    read_preprocessing,
)
from mmfusion.models.backbones.hf_video_encoder import find_family, sizes_told
from mmfusion.utils.errors import ConfigError, InputError

_SIZES = ("num_frames", "img_size", "embed_dims")
_FROM_PROCESSOR = ("size", "resample", "crop_size")


def complete_sizes(model: Mapping[str, Any], place: str) -> None:
    """Put in the sizes of published encoders that a model's config leaves None.

    Raises:
        ConfigError: the key path of what cannot be read.
    """
    for name, encoder in model["encoders"].items():
        open_keys = [key for key in _SIZES if key in encoder and encoder[key] is None]
        if not _is_published(encoder) or not open_keys:
            continue
        at = f"{place}.encoders.{name}"
        source, revision = encoder.get("pretrained"), encoder.get("revision")
        try:
            told = sizes_told(*find_family(source, revision, encoder.get("hf_config")))
            pixels = find_preprocessing(source, revision) if source else None
        except (InputError, OSError) as error:
            raise ConfigError(f"config key {at}: {error}") from None
        if pixels is not None and pixels.num_frames:
            told["num_frames"] = pixels.num_frames
        encoder.update({key: told[key] for key in open_keys})


def complete_preprocessor(model: Mapping[str, Any], place: str) -> None:
    """Put in the mean and deviation of pixels that a model's config leaves None."""
    part = model.get("data_preprocessor") or {}
    keys = [key for key in ("mean", "std") if key in part and part[key] is None]
    if keys:
        told = _told_pixels(model["encoders"], f"{place}.data_preprocessor.{keys[0]}")
        part.update({key: [*getattr(told, key)] for key in keys})


def complete_resizing(
    path: str, dataset: Mapping[str, Any], encoders: Mapping[str, Any]
) -> None:
    """Put in the sizes of a pipeline that the processor file tells.

    Args:
        path: key path of the dataset. encoders: the model's, completed.
    """
    for place, step, key in _open_steps(path, dataset):
        told = _told_pixels(encoders, place)
        if key == "resample":
            step[key] = told.resample
            continue
        side = encoders["video"].get("img_size") or (told.crop or (0,))[0]
        size = told.crop if key == "crop_size" else told.size
        if key == "crop_size" and size is None:
            size = (side, side)
        if size is None:
            raise ConfigError(
                f"config key {place}: got None, and the processor of"
                f" {encoders['video'].get('pretrained')} does not resize; expected"
                " pixels"
            )
        step[key] = _scaled(size, side, told)


def _open_steps(
    path: str, dataset: Mapping[str, Any]
) -> Iterator[tuple[str, dict, str]]:
    """(key path, step, key) of what is None, where a step resizes as published."""
    steps = dataset.get("pipeline") or ()
    if not any(class_name(step.get("type")) == "ResizeFrames" for step in steps):
        return
    for number, step in enumerate(steps):
        for key in _FROM_PROCESSOR:
            if key in step and step[key] is None:
                yield f"{path}.pipeline.{number}.{key}", step, key


def _scaled(
    size: int | tuple[int, int], side: int, told: Preprocessing
) -> int | tuple[int, int]:
    """A size in pixels for frames of ``side`` where the file has another crop."""
    whole = told.crop or (size if isinstance(size, tuple) else (side, side))
    if not side or side == whole[0]:
        return size
    if isinstance(size, int):
        return size * side // whole[0]
    return size[0] * side // whole[0], size[1] * side // whole[0]


def _told_pixels(encoders: Mapping[str, Any], place: str) -> Preprocessing:
    encoder = encoders.get("video") or {}
    source = encoder.get("pretrained")
    if not _is_published(encoder) or source is None:
        raise ConfigError(
            f"config key {place}: got None, and encoders.video has no checkpoint of"
            " transformers (pretrained of a HFVideoEncoder) whose processor file tells"
            " it; expected numbers"
        )
    try:
        return read_preprocessing(source, encoder.get("revision"))
    except InputError as error:
        raise ConfigError(f"config key {place}: {error}") from None


def _is_published(encoder: Mapping[str, Any]) -> bool:
    return class_name(encoder.get("type")) == "HFVideoEncoder"
