"""A trained model ready to predict, from whatever a person has of it."""

import logging
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from mmfusion.apis.folder import MANIFEST, check_folder
from mmfusion.apis.loaded import LoadedModel, completed, finish, put_in
from mmfusion.apis.model_folder import CONFIG, KIND, WEIGHTS, read_model_folder
from mmfusion.engine.launch.config_check import load_config
from mmfusion.engine.launch.config_data import (
    build_model,
    check_pipeline_data,
    pipeline_data,
    without_training,
)
from mmfusion.engine.protocols import DescribesData
from mmfusion.engine.runner.card import card_of, check_card
from mmfusion.engine.runner.work_dir import BEST, check_some_whole, find_checkpoints
from mmfusion.registry import DATASETS, MODELS
from mmfusion.utils.errors import CheckpointError, InputError, MMFusionError
from mmfusion.weights import fetch, load_checked
from mmfusion.weights.files import HUB, WEB, shown

_SUFFIXES = (".pth", ".pt", ".pyth", ".safetensors")  # of files of weights


def load_model(
    source: str | os.PathLike, checkpoint: str | os.PathLike | None = None
) -> LoadedModel:
    """Load a trained model; no Python of a file runs but that of a given config.

    Args:
        source: the folder of a run (its ``best.pth``, else its newest whole
            checkpoint; the log says which), a folder that ``tools/export.py`` wrote, a
            checkpoint that has its card, or a config file, with which a ``checkpoint``
            is given.
        checkpoint: the weights that go with a config: ``.pth`` or ``.safetensors``, a
            path, ``hf://...`` or ``https://...``.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, has no card, or does
            not fit the model.
        ConfigError: the config is wrong, or a card names a type that no registry has.

    Example:
        >>> loaded = load_model("work_dirs/x")  # doctest: +SKIP
        >>> loaded.classes["action"][0]  # doctest: +SKIP
        'grab book'
    """
    name = os.fspath(source)
    if checkpoint is not None:
        if Path(name).is_dir() or name.endswith(_SUFFIXES):
            raise CheckpointError(
                f"{name} is given with the checkpoint {checkpoint}; expected a config"
                " file (.py) with it, or the checkpoint alone"
            )
        return _from_config(name, os.fspath(checkpoint))
    if (Path(name) / MANIFEST).exists():
        return read_model_folder(name)
    if Path(name).is_dir():
        return _from_checkpoint(str(weights_of(name)))
    if name.endswith(_SUFFIXES) or name.startswith((HUB, *WEB)):
        return _from_checkpoint(name)
    if not Path(name).exists():
        raise CheckpointError(f"{name} does not exist; expected a run's folder or file")
    raise CheckpointError(
        f"{name} is no checkpoint ({', '.join(_SUFFIXES)}); a config needs its"
        " checkpoint as well: load_model(CONFIG, CHECKPOINT)"
    )


def weights_of(folder: str | os.PathLike) -> Path:
    """File of the weights in the folder of a run, or in one that was exported.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    if Path(folder, MANIFEST).is_file():
        check_folder(folder, KIND)
        return Path(folder, WEIGHTS)
    if Path(folder, WEIGHTS).is_file() and Path(folder, CONFIG).is_file():
        raise CheckpointError(
            f"{folder} has no {MANIFEST}, which an exported model has beside"
            f" {CONFIG} and {WEIGHTS}; copy the whole folder again"
        )
    return checkpoint_of_run(folder)


def check_device(device: str) -> None:
    """Refuse what torch has no name for, and a GPU where there is none.

    Raises:
        InputError: so.
    """
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise InputError(
            f"device is {device!r}: {str(error).splitlines()[0]}"
        ) from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device is {device!r}, and there is no GPU that torch sees")


def checkpoint_of_run(folder: str | os.PathLike) -> Path:
    """The ``best.pth`` of a run's folder, else its newest checkpoint that is whole.

    Raises:
        CheckpointError: there is none, or every one is damaged.
    """
    best = Path(folder) / BEST
    if best.is_file():
        return best
    found = find_checkpoints(folder)
    check_some_whole(folder, found)
    if not found.good:
        raise CheckpointError(
            f"{folder} has no checkpoint (best.pth, epoch_N.pth): expected the work"
            " folder of a training"
        )
    print_log(f"{folder} has no {BEST}: {found.good[0][0].name} is taken", "current")
    return found.good[0][0]


def _from_checkpoint(name: str) -> LoadedModel:
    """A model by the card in its checkpoint."""
    content = load_checked(fetch(name))
    meta = content.get("meta")
    found = meta.get("card") if isinstance(meta, dict) else None
    card = check_card(found, shown(name))
    check_pipeline_data(card["pipeline"], shown(name))
    model = build_model(card["model"], shown(name))
    return finish(model, content, card, name)


def _from_config(path: str, checkpoint: str) -> LoadedModel:
    """A model by its config file, which runs, and a checkpoint with or without card."""
    config = load_config(path)
    with DefaultScope.overwrite_default_scope("mmfusion"):
        model = MODELS.build(without_training(config.model)).eval()
    content = load_checked(fetch(checkpoint))
    put_in(model, content, checkpoint)
    meta = content.get("meta")
    card = meta.get("card") if isinstance(meta, dict) else None
    if card is None:
        card = card_of(config, model, _metainfo(config))
    else:
        card = check_card(card, shown(checkpoint))
    classes = completed(card["classes"], model, checkpoint)
    pipeline, streams = pipeline_data(config), tuple(card["streams"])
    return LoadedModel(model, config, pipeline, classes, streams, card, checkpoint)


def _metainfo(config: Config) -> dict[str, Any]:
    """Metainfo of the annotation of a config; empty where it cannot be read."""
    for key in ("test_dataloader", "val_dataloader"):
        if (config.get(key) or {}).get("dataset"):
            try:
                with DefaultScope.overwrite_default_scope("mmfusion"):
                    dataset = DATASETS.build(config[key].dataset)
            except (MMFusionError, OSError) as error:
                print_log(f"no names of classes: {error}", "current", logging.WARNING)
                return {}
            return dict(dataset.metainfo) if isinstance(dataset, DescribesData) else {}
    return {}
