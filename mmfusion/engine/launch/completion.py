"""Complete a config: what it leaves None is taken from the data, or from another key.

A config of one's own data (``configs/custom``) says each thing once. None stands for
what follows from it:

======================================== =============================================
``model.heads.<task>.num_classes``       classes of the task in the annotation
``model.encoders.<name>.num_hands``      skeletons of a frame, in the annotation
``model.encoders.<name>.num_joints``     their joints, all together
``model.encoders.<name>.arch``           ``arch`` of the encoder before it, or the one
                                         of its width
``model.neck.embed_dims``                width of the first encoder
``model.heads.<task>.in_dims``           width of the neck, or of the only encoder
``num_frames`` of SampleTimes            ``num_frames`` of each encoder, by stream
``scale``, ``crop_size`` of a transform  ``img_size`` of the video encoder, twice
``num_frames`` and sizes of a published  its files: ``config_pretrained.py``
video encoder, and of its pixels
``param_scheduler.<n>.begin``            the end of the one before; where that is None,
                                         2, or an epoch before ``max_epochs`` if less;
                                         one that has no epoch then is left out
``param_scheduler.<n>.end``              the beginning of the next, where that was None,
                                         else ``train_cfg.max_epochs``
``param_scheduler.<n>.T_max``            its end less its beginning
``ann_file``, ``data_root``,             those of ``train_dataloader.dataset``
``link_roots`` of a dataset
======================================== =============================================

What an encoder's config does not say is the default of its class; a video encoder that
has no ``num_frames`` or ``img_size`` at all gets 8 frames of 112 px, a skeleton encoder
32 frames. The annotation is that of ``train_dataloader``. A number beside it that
contradicts it is an error, and so are other classes in the annotation of validation or
test. A teacher in ``model.auxiliary`` is completed as the model is; the pipeline of
training has the numbers of frames of both. Where ``features`` names a folder, tokens
replace an encoder at the end, see ``config_features.py``. The completed config is the
one that is compared, trained and dumped.
"""

import inspect
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.transforms import LoadSkeleton, NormalizeSkeleton
from mmfusion.engine.launch.argument_check import class_name
from mmfusion.engine.launch.config_features import read_features
from mmfusion.engine.launch.config_pretrained import (
    complete_preprocessor,
    complete_resizing,
    complete_sizes,
)
from mmfusion.engine.launch.config_streams import teachers_of
from mmfusion.layouts.skeleton_arrays import SkeletonKind
from mmfusion.models import DDNet, MultiModalRecognizer, SkeletonMamba
from mmfusion.models.backbones.video_mamba import ARCHITECTURES
from mmfusion.registry import DATASETS, MODELS
from mmfusion.utils.errors import ConfigError, MMFusionError

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_HOMES = {"mmfusion", "mmaction", "mmcv"}
_FRAMES, _SIZE = {"video": 8, "skeleton": 32}, 112  # of encoders that take any
_WARM_UP = 2  # epochs of a warm-up whose end is left None
_FROM_DATA = ("num_classes", "num_hands", "num_joints")


def complete_config(config: Config) -> None:
    """Put into ``config`` what it leaves None, see the module; a second time is idle.

    Raises:
        ConfigError: the key path of what cannot be completed, or of what contradicts
            the annotation.
    """
    _complete_files(config)
    model = config.get("model") or {}
    if isinstance(model.get("encoders"), dict) and isinstance(model.get("heads"), dict):
        teachers = [*teachers_of(model)]
        for place, one in (("model", model), *teachers):
            complete_sizes(one, place)
            complete_preprocessor(one, place)
            if any(True for _ in _waiting(one, place)):
                _complete_from_data(config, one, place)
            _complete_widths(one, place)
        taught = {k: v for _, one in teachers for k, v in one["encoders"].items()}
        for path, dataset in _datasets(config):
            more = taught if path.startswith(LOADERS[0]) else {}
            encoders = {**more, **model["encoders"]}
            complete_resizing(path, dataset, encoders)
            _complete_pipeline(path, dataset, encoders)
    _complete_schedule(config)
    read_features(config)


def _datasets(config: Config) -> Iterator[tuple[str, dict]]:
    """Key path and config of the dataset with an annotation, for each loader."""
    for loader in LOADERS:
        path, node = loader, config.get(loader)
        while isinstance(node, dict) and isinstance(node.get("dataset"), dict):
            path, node = f"{path}.dataset", node["dataset"]
        if isinstance(node, dict) and "ann_file" in node:
            yield path, node


def _complete_files(config: Config) -> None:
    found = dict(_datasets(config))
    source = next(iter(found.items()), None)
    for dataset in found.values():
        if source is not None and dataset.get("link_roots", ()) is None:
            dataset["link_roots"] = source[1].get("link_roots") or ()
        for key in ("ann_file", "data_root"):
            if key in dataset and dataset[key] is None:
                assert source is not None
                if source[1].get(key) is None:
                    raise ConfigError(
                        f"config key {source[0]}.{key}: got None, expected a path"
                    )
                dataset[key] = source[1][key]


def _waiting(model: Mapping, place: str) -> Iterator[tuple[str, dict, str]]:
    """(key path, part, key) of what only the data tell."""
    for section in ("heads", "encoders"):
        for name, part in model[section].items():
            for key in _FROM_DATA:
                if isinstance(part, dict) and key in part and part[key] is None:
                    yield f"{place}.{section}.{name}.{key}", part, key


def _complete_from_data(config: Config, model: Mapping, place: str) -> None:
    """Classes, hands and joints of a model, of the annotation that is trained on."""
    found = dict(_datasets(config))
    path, source = next(iter(found.items()), (None, None))
    if path is None or source is None:
        waiting = next(_waiting(model, place))[0]
        raise ConfigError(
            f"config key {waiting}: got None, and no loader has a dataset with an"
            " annotation to take it from; expected a number"
        )
    data = _build(path, source)
    classes = data.metainfo["classes"]
    for task, head in model["heads"].items():
        if "num_classes" in head:
            count = _classes(f"{place}.heads.{task}", task, classes, data.ann_file)
            _set(head, "num_classes", count, f"{place}.heads.{task}", data.ann_file)
    kind = _kind_read(data, source)
    for name, encoder in model["encoders"].items():
        if not {"num_hands", "num_joints"} & encoder.keys():
            continue
        part = f"{place}.encoders.{name}"
        if kind.hands is None or kind.num_joints is None:
            lacks = f"{data.ann_file} has no metainfo.skeleton"
            if data.metainfo.get("skeleton"):
                lacks = (
                    f"metainfo.skeleton of {data.ann_file} lacks hands, or joints (or a"
                    " known layout)"
                )
            raise ConfigError(
                f"config key {part}: {lacks}, from which its size is taken; for a"
                " model of the video alone use configs/custom/video_mamba.py"
            )
        sizes = dict(
            num_hands=len(kind.hands), num_joints=len(kind.hands) * kind.num_joints
        )
        for key in sizes.keys() & encoder.keys():
            _set(encoder, key, sizes[key], part, data.ann_file)
    _tell_untrained(data, model["heads"])
    _check_others(found, data, model["heads"])


def _build(path: str, dataset: dict) -> MultiModalDataset:
    """The dataset of a config without its pipeline."""
    file = os.path.join(dataset.get("data_root") or "", str(dataset["ann_file"]))
    if not os.path.isfile(file):
        made_by = dataset.get("made_by") or "tools/data/custom/prepare.py"
        command = made_by.format(data_root=dataset.get("data_root"))
        raise ConfigError(
            f"config key {path}.data_root: there is no annotation {file!r}; set"
            f" {path}.data_root to the folder that has"
            f" {dataset['ann_file']!r} (its name: {path}.ann_file), or make it with:"
            f" {command}"
        )
    try:
        data = DATASETS.build({**dataset, "pipeline": []})
    except (MMFusionError, OSError) as error:
        raise ConfigError(f"config key {path}: {error}") from None
    if not isinstance(data, MultiModalDataset):
        raise ConfigError(
            f"config key {path}.type: got {type(data).__name__}; only the annotation of"
            " a MultiModalDataset tells the numbers that the config leaves None"
        )
    return data


def _classes(place: str, task: str, classes: Mapping, file: str) -> int:
    if task not in classes:
        raise ConfigError(
            f"config key {place}: {file} has no task {task!r}, it has"
            f" {sorted(classes)}; name the head as one of these"
        )
    return len(classes[task])


def _set(part: dict, key: str, value: int, place: str, file: str) -> None:
    if part.get(key) is None:
        part[key] = value
    elif part[key] != value:
        raise ConfigError(
            f"config key {place}.{key}: got {part[key]}, but {file} has {value}; leave"
            f" {key} out (None), or set it to {value}"
        )


def _kind_read(data: MultiModalDataset, dataset: dict) -> SkeletonKind:
    """The skeletons as LoadSkeleton gives them to the model."""
    kind = SkeletonKind.of(data.metainfo.get("skeleton"))
    for step in dataset.get("pipeline") or ():
        hands = step.get("hands")
        if class_name(step.get("type")) == "LoadSkeleton" and hands:
            return SkeletonKind(hands=tuple(hands), num_joints=kind.num_joints)
    return kind


def check_skeletons(model: nn.Module, dataset: Any) -> None:
    """Compare the size of the skeleton encoder with the hands and joints of the data.

    Raises:
        ConfigError: the key; only where each transform is known, as one of the user's
            may add joints.
    """
    if not isinstance(model, MultiModalRecognizer) or "skeleton" not in model.encoders:
        return
    encoder = model.encoders["skeleton"]
    if not isinstance(encoder, SkeletonMamba | DDNet) or not isinstance(
        dataset, MultiModalDataset
    ):
        return
    kind = SkeletonKind.of(dataset.metainfo.get("skeleton"))
    steps = [step for step in dataset.pipeline if isinstance(step, LoadSkeleton)]
    homes = {type(step).__module__.partition(".")[0] for step in dataset.pipeline}
    hands = steps[0].hands or kind.hands if len(steps) == 1 else None
    if hands is None or kind.num_joints is None or homes - _HOMES:
        return
    joints = len(hands) * kind.num_joints
    for key, value, own in (
        ("num_hands", len(hands), encoder.num_hands),
        ("num_joints", joints, encoder.input_shape[1]),
    ):
        if value != own:
            raise ConfigError(
                f"config key model.encoders.skeleton.{key}: it is {own}, but"
                f" {dataset.ann_file} has {value}; set it to {value}"
            )


def tell_lost_path(dataset: Any) -> None:
    """Warn of a pipeline that takes the path of hands in a picture away."""
    if not isinstance(dataset, MultiModalDataset):
        return
    kind = SkeletonKind.of(dataset.metainfo.get("skeleton"))
    steps = [step for step in dataset.pipeline if isinstance(step, NormalizeSkeleton)]
    in_picture = kind.place in ("image", "pixels")
    if in_picture and any(step.mode == "wrist" for step in steps):
        print_log(
            "train_dataloader.dataset.pipeline: NormalizeSkeleton(mode='wrist') puts"
            " the wrist at the origin in every frame: the path of the hand is lost, and"
            " with it gestures that are drawn or swept; expected mode='size' or"
            " 'first_wrist' unless the shape of the hand says it all",
            "current",
            logging.WARNING,
        )


def _tell_untrained(data: MultiModalDataset, heads: Mapping) -> None:
    """Log the classes that no record of the split has: no model can learn them."""
    records = [data.get_record(number) for number in range(len(data))]
    for task in heads:
        names = data.metainfo["classes"][task]
        trained = {record["label"].get(task) for record in records}
        lacking = [name for n, name in enumerate(names) if n not in trained]
        if lacking:
            print_log(
                f"{len(lacking)} of {len(names)} classes of {task!r} have no clip in"
                f" split {data.split!r} of {data.ann_file}, and will not be learned:"
                f" {', '.join(lacking[:5])}{', ...' if lacking[5:] else ''}",
                "current",
                logging.WARNING,
            )


def _check_others(found: dict, data: MultiModalDataset, heads: Mapping) -> None:
    """Refuse annotations of validation and test whose classes are others."""
    for path, dataset in [*found.items()][1:]:
        other = {key: dataset.get(key) for key in ("ann_file", "data_root")}
        if _same_file(other, data):
            continue
        classes = _build(path, dataset).metainfo["classes"]
        for task in heads:
            ours, theirs = data.metainfo["classes"][task], classes.get(task)
            if theirs != ours:
                raise ConfigError(
                    f"config key {path}.ann_file: its classes of {task!r} are"
                    f" {len(theirs or ())}, {theirs}; expected the {len(ours)} of"
                    f" {data.ann_file}, in their order: {ours}"
                )


def _same_file(dataset: dict, data: MultiModalDataset) -> bool:
    root = dataset["data_root"] or "."
    return root == data.data_root and data.ann_file.endswith(str(dataset["ann_file"]))


def _told(encoder: Mapping, key: str) -> Any:
    """Value of a key in an encoder's config, else the default of its class."""
    if key in encoder:
        return encoder[key]
    kind = encoder.get("type")
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    if not inspect.isclass(found):
        return None
    one = inspect.signature(found).parameters.get(key)
    return None if one is None or one.default is one.empty else one.default


def _width_told(encoder: Mapping) -> int | None:
    """Width of an encoder's tokens, from its config or its class; None if untold."""
    width = _told(encoder, "embed_dims")
    if isinstance(width, int):
        return width
    arch = _told(encoder, "arch")
    return ARCHITECTURES[arch]["embed_dims"] if arch in ARCHITECTURES else None


def _width(encoder: Mapping, place: str, name: str) -> int:
    """Width of the tokens of the encoder ``name``, for what ``place`` leaves open."""
    width = _width_told(encoder)
    if width is not None:
        return width
    if "arch" in encoder:
        raise ConfigError(
            f"config key {place}: got None, and follows an arch, which is"
            f" {encoder['arch']!r}: expected one of {[*ARCHITECTURES]}"
        )
    hidden = (encoder.get("hf_config") or {}).get("hidden_size")
    if isinstance(hidden, int):
        return hidden
    raise ConfigError(
        f"config key {place}: got None, and model.encoders.{name} has neither arch nor"
        f" embed_dims, nor has its class a default; write {place} = the width of its"
        " tokens"
    )


def _follows_arch(encoder: Mapping) -> bool:
    """Tell whether the encoder's width is that of the arch in its config."""
    ours = class_name(encoder.get("type")) in ("VideoMamba", "SkeletonMamba")
    return ours and encoder.get("arch") in ARCHITECTURES


def _arch_as_wide(width: int | None, name: str) -> str:
    """The arch of an encoder beside one without arch, whose tokens have ``width``."""
    place = f"model.encoders.{name}.arch"
    for arch, sizes in ARCHITECTURES.items():
        if sizes["embed_dims"] == width:
            return arch
    widths = ", ".join(f"{k} {v['embed_dims']}" for k, v in ARCHITECTURES.items())
    why = (
        "no encoder before it has an arch or embed_dims"
        if width is None
        else f"none is as wide as the encoder before it, {width}"
    )
    raise ConfigError(
        f"config key {place}: got None, and {why}; write {place} ="
        f" {next(iter(ARCHITECTURES))!r}, or another of its width ({widths})"
    )


def _complete_widths(model: Mapping, at: str) -> None:
    """``arch`` of encoders that follow another; widths of the neck and of heads."""
    arch = width = None
    for name, encoder in model["encoders"].items():
        if "arch" in encoder and encoder["arch"] is None:
            encoder["arch"] = arch or _arch_as_wide(width, name)
        arch = encoder.get("arch") or arch
        width = _width_told(encoder) or width
    first_name, first = next(iter(model["encoders"].items()))
    neck = model.get("neck") or {}
    if "embed_dims" in neck and neck["embed_dims"] is None:
        neck["embed_dims"] = _width(first, f"{at}.neck.embed_dims", first_name)
    for task, head in model["heads"].items():
        place = f"{at}.heads.{task}.in_dims"
        width = neck.get("embed_dims")
        if "in_dims" in head and head["in_dims"] is None:
            head["in_dims"] = width if width else _width(first, place, first_name)
        elif not neck and _follows_arch(first) and "in_dims" in head:
            width = _width(first, place, first_name)
            if head["in_dims"] != width:
                raise ConfigError(
                    f"config key {place}: got {head['in_dims']}, but the encoder's arch"
                    f" {first['arch']!r} has a width of {width}; leave in_dims out"
                    f" (None), or set it to {width}"
                )


def _complete_pipeline(path: str, dataset: Mapping, encoders: Mapping) -> None:
    """Numbers of frames and the size of the picture, as the encoders have them."""
    frames = {
        name: found
        for name, encoder in encoders.items()
        if (found := _shape_told(encoder, "num_frames", _FRAMES.get(name))) is not None
    }
    size = None
    if encoders.get("video"):
        size = _shape_told(encoders["video"], "img_size", _SIZE)
    for number, step in enumerate(dataset.get("pipeline") or ()):
        at = f"{path}.pipeline.{number}"
        if "num_frames" in step and step["num_frames"] is None:
            if not frames:
                raise _lacking(f"{at}.num_frames", "encoder has num_frames")
            step["num_frames"] = dict(frames)
        for key in ("scale", "crop_size"):
            if key in step and step[key] is None:
                if size is None:
                    raise _lacking(f"{at}.{key}", "video encoder has img_size")
                step[key] = size if key == "crop_size" else (size, size)


def _shape_told(encoder: Mapping, key: str, otherwise: int | None) -> int | None:
    """Size of an encoder's input; ``otherwise`` if it has no such key."""
    found = _told(encoder, key)
    return otherwise if found is None and key not in encoder else found


def _lacking(path: str, what: str) -> ConfigError:
    return ConfigError(f"config key {path}: got None, and no {what}; expected numbers")


def _complete_schedule(config: Config) -> None:
    epochs = (config.get("train_cfg") or {}).get("max_epochs")
    schedulers = config.get("param_scheduler")
    if isinstance(schedulers, list) and isinstance(epochs, int):
        schedulers = config.param_scheduler = _with_beginnings(schedulers, epochs)
    for number, part in enumerate(schedulers if isinstance(schedulers, list) else ()):
        place = f"param_scheduler.{number}"
        if part.get("begin", 0) is None:
            raise _lacking(f"{place}.begin", "scheduler and epochs before it")
        for key in ("end", "T_max"):
            if key not in part or part[key] is not None:
                continue
            if not isinstance(epochs, int):
                raise _lacking(f"{place}.{key}", "train_cfg.max_epochs is set")
            begin = part.get("begin", 0)
            value = epochs if key == "end" else part.get("end", epochs) - begin
            if value <= (begin if key == "end" else 0):
                raise ConfigError(
                    f"config key train_cfg.max_epochs: got {epochs}, expected more than"
                    f" {begin}, where {place} begins; with fewer epochs set"
                    f" {place}.begin, and the end of what comes before it, too"
                )
            part[key] = value


def _with_beginnings(schedulers: list[dict], epochs: int) -> list[dict]:
    """Schedulers each of which begins where the one before ends; none of no epoch."""
    kept = [*schedulers]
    for first, then in zip(schedulers, schedulers[1:], strict=False):
        if "begin" not in then:
            continue
        if "end" in first and first["end"] is None:
            begin = then["begin"]
            first["end"] = min(_WARM_UP, epochs - 1) if begin is None else begin
            if not first["end"]:
                kept.remove(first)
        if then["begin"] is None:
            then["begin"] = first.get("end")
    return kept
