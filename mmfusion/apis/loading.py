"""A trained model ready to predict, from whatever a person has of it."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from torch import nn

from mmfusion.engine.launch.config_check import load_config
from mmfusion.engine.launch.config_data import (
    build_model,
    check_pipeline_data,
    pipeline_data,
)
from mmfusion.engine.protocols import DescribesData
from mmfusion.engine.runner.card import card_of, check_card
from mmfusion.engine.runner.work_dir import BEST, check_some_whole, find_checkpoints
from mmfusion.models.protocols import HasClasses, HasHeads
from mmfusion.registry import DATASETS, MODELS
from mmfusion.utils.errors import CheckpointError, MMFusionError
from mmfusion.weights import fetch, fit, load_checked
from mmfusion.weights.files import HUB, WEB, shown, unwrap

_SUFFIXES = (".pth", ".pt", ".pyth", ".safetensors")  # of files of weights


@dataclass
class LoadedModel:
    """A model with all that is needed to use it.

    Attributes:
        model: with its weights, in evaluation mode, on the CPU.
        config: at least ``model`` and ``default_scope``; all of it where a config file
            was given.
        pipeline: config of each transform of the test pipeline, in turn; empty where
            nothing said it.
        classes: names by task, in the order of the scores.
        streams: names of what the model reads, such as ``("video", "skeleton")``.
        card: as :func:`mmfusion.engine.runner.card.run_card` describes it.
        path: the file of the weights.
    """

    model: nn.Module
    config: Config
    pipeline: list[dict[str, Any]]
    classes: dict[str, list[str]]
    streams: tuple[str, ...]
    card: dict[str, Any]
    path: str


def load_model(
    source: str | os.PathLike, checkpoint: str | os.PathLike | None = None
) -> LoadedModel:
    """Load a trained model; no Python of a file runs but that of a given config.

    Args:
        source: the folder of a run (its ``best.pth``, else its newest whole
            checkpoint; the log says which), a checkpoint that has its card, or a
            config file, with which a ``checkpoint`` is given.
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
    if Path(name).is_dir():
        return _from_checkpoint(str(checkpoint_of_run(name)))
    if name.endswith(_SUFFIXES) or name.startswith((HUB, *WEB)):
        return _from_checkpoint(name)
    if not Path(name).exists():
        raise CheckpointError(f"{name} does not exist; expected a run's folder or file")
    raise CheckpointError(
        f"{name} is no checkpoint ({', '.join(_SUFFIXES)}); a config needs its"
        " checkpoint as well: load_model(CONFIG, CHECKPOINT)"
    )


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


def finish(
    model: nn.Module, content: dict[str, Any], card: dict[str, Any], name: str
) -> LoadedModel:
    """Put weights into a model of a checked card.

    Args:
        model: built from the card. content: of the file ``name``.

    Raises:
        CheckpointError: the weights are not those of the model.
    """
    put_in(model, content, name)
    config = Config(dict(default_scope="mmfusion", model=card["model"]))
    pipeline, streams = card["pipeline"], tuple(card["streams"])
    classes = _completed(card["classes"], model, name)
    print_log(f"model: {shown(name)}", "current")
    return LoadedModel(model, config, pipeline, classes, streams, card, name)


def put_in(model: nn.Module, content: dict[str, Any], name: str) -> None:
    """Copy the weights of a file into a model, all of them; errors name the file."""
    weights, _ = fit(unwrap(content, shown(name)), model, shown(name))
    model.load_state_dict({**model.state_dict(), **weights})


def _from_config(path: str, checkpoint: str) -> LoadedModel:
    """A model by its config file, which runs, and a checkpoint with or without card."""
    config = load_config(path)
    with DefaultScope.overwrite_default_scope("mmfusion"):
        model = MODELS.build(config.model).eval()
    content = load_checked(fetch(checkpoint))
    put_in(model, content, checkpoint)
    meta = content.get("meta")
    card = meta.get("card") if isinstance(meta, dict) else None
    if card is None:
        card = card_of(config, model, _metainfo(config))
    else:
        card = check_card(card, shown(checkpoint))
    classes = _completed(card["classes"], model, checkpoint)
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


def _completed(
    classes: dict[str, list[str]], model: nn.Module, name: str
) -> dict[str, list[str]]:
    """Names of the classes of each head; numbers where there are none.

    Raises:
        CheckpointError: another number of names than of scores.
    """
    if not isinstance(model, HasHeads):
        return classes
    found = {}
    for task, head in model.heads.items():
        count = head.num_classes if isinstance(head, HasClasses) else 0
        names = classes.get(task) or [str(index) for index in range(count)]
        if count and len(names) != count:
            raise CheckpointError(
                f"{shown(name)}: it names {len(names)} classes of {task!r}, its model"
                f" scores {count}"
            )
        found[task] = names
    return found
