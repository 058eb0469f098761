"""The card in a checkpoint: what its model is, knows and scored, as plain data."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from mmengine.config import Config
from pydantic import BaseModel, Field

import mmfusion
from mmfusion.engine.launch.config_data import model_data, pipeline_data
from mmfusion.engine.launch.config_features import live_form
from mmfusion.engine.protocols import DescribesData
from mmfusion.evaluation.functional import wilson_interval
from mmfusion.models.protocols import HasEncoders, HasHeads
from mmfusion.utils.errors import CheckpointError, InputError
from mmfusion.utils.schema import STRICT, Schema

CARD_FORMAT = 1
_COUNTED = ("top1", "top5")  # last names of the metrics that count clips
_SUBSETS = {"unseen", "tail"}  # parts of the names of metrics of a part of the clips
_Share = Annotated[float | None, Field(description="percent, or null")]


class Score(BaseModel):
    """One metric with its 95 % interval, as :func:`scored` gives it."""

    model_config = STRICT
    value: float = Field(description="a number")
    low: _Share
    high: _Share
    n: int | None = Field(ge=1, description="the number of clips, or null")
    split: str = Field(description="the name of a split")


class DataOfRun(BaseModel):
    """The data that a model was trained on."""

    model_config = STRICT
    name: str | None = None
    splits: dict[str, int] = {}
    n: int | None = None
    question_source: str | None = None


class Card(BaseModel):
    """Every key of a card, see :func:`run_card`."""

    model_config = STRICT
    format: int = Field(description=f"{CARD_FORMAT}")
    mmfusion: str = Field(description="the version that wrote it")
    classes: dict[str, list[str]] = Field(description="{task: [names]}")
    model: dict[str, Any] = Field(description="a config with types by name")
    pipeline: list[dict[str, Any]] = Field(description="a list of transforms")
    streams: list[str] = Field(description="a list of names")
    skeleton: dict[str, Any] | None = Field(description="an object, or null")
    data: DataOfRun = Field(description="an object of name, splits and n")
    metrics: dict[str, Score] = Field(description="{name: score}")


_CARD = Schema(Card)


def check_card(card: Any, where: str) -> dict[str, Any]:
    """The card of a stranger's file, after every key of it was looked at.

    Types in ``model`` and ``pipeline`` are checked where they are built.

    Raises:
        CheckpointError: there is none, it is of another format, or a key is wrong.
    """
    if card is None:
        raise CheckpointError(
            f"{where} has no card (its config and classes): an earlier version wrote"
            " it, or it is somebody else's; give its config with it:"
            " load_model(CONFIG, CHECKPOINT)"
        )
    found = card.get("format") if isinstance(card, dict) else None
    if isinstance(card, dict) and found != CARD_FORMAT:
        raise CheckpointError(
            f"{where}: its card has format {found!r}, this version of mmfusion reads"
            f" {CARD_FORMAT}; give its config with it: load_model(CONFIG, CHECKPOINT)"
        )
    try:
        _CARD.check(card)
    except InputError as error:
        raise CheckpointError(f"{where}: its card {error}") from error
    return card


def run_card(runner: Any) -> dict[str, Any]:
    """Describe the model and the data of a run.

    Args:
        runner: a FusionRunner that trains.

    Returns:
        ``classes`` {task: [names]} of the heads, ``model`` and ``pipeline`` (that of a
        test) as data, ``streams``, ``skeleton`` (the kind in the annotation's
        metainfo, or None), ``data`` with ``name``, ``splits`` {name: clips}, ``n``
        clips of training and ``question_source``, and empty ``metrics``.
    """
    train = runner.train_dataloader.dataset
    splits = [_split(train, "train")]
    if runner._val_loop is not None:
        splits.append(_split(runner.val_dataloader.dataset, "val"))
    metainfo = _metainfo(train)
    return card_of(runner.cfg, runner.bare_model, metainfo) | {
        "data": {
            "name": metainfo.get("dataset"),
            "splits": dict(splits),
            "n": len(train),
            "question_source": metainfo.get("question_source"),
        }
    }


def card_of(config: Config, model: Any, metainfo: Mapping[str, Any]) -> dict[str, Any]:
    """The part of :func:`run_card` that needs no run.

    Args:
        config: of the model. model: itself, which names its streams and tasks.
        metainfo: of an annotation; without classes they are left out.
    """
    classes = metainfo.get("classes") or {}
    tasks = [*model.heads] if isinstance(model, HasHeads) else [*classes]
    skeleton = metainfo.get("skeleton")
    live = live_form(config)
    return {
        "format": CARD_FORMAT,
        "mmfusion": mmfusion.__version__,
        "classes": {task: list(classes[task]) for task in tasks if task in classes},
        "model": model_data(live["model"]),
        "pipeline": pipeline_data(live),
        "streams": list(model.encoders) if isinstance(model, HasEncoders) else [],
        "skeleton": None if skeleton is None else dict(skeleton),
        "data": {},
        "metrics": {},
    }


def scored(metrics: Mapping[str, Any], dataset: Any) -> dict[str, dict[str, Any]]:
    """Metrics of a validation with their 95 % intervals.

    Args:
        metrics: percent, by name. dataset: the clips that were scored.

    Returns:
        By name ``value``, ``low`` and ``high`` (Wilson's interval; None for what is no
        share of the clips, such as a mean over classes), ``n`` clips and ``split``.
        Of a subset, whose size no metric tells, interval and ``n`` are None.
    """
    split, count = _split(dataset, "val")
    found = {}
    for name, value in metrics.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            continue
        low = high = None
        if is_of_subset(name):
            found[name] = dict(value=value, low=None, high=None, n=None, split=split)
            continue
        if name.rpartition("/")[2] in _COUNTED and 0 <= value <= 100:
            right = round(value * count / 100)
            if abs(100 * right / count - value) < 1e-6:  # else of a part of the clips
                _, low, high = wilson_interval(right, count)
        found[name] = dict(value=value, low=low, high=high, n=count, split=split)
    return found


def is_of_subset(metric: str) -> bool:
    """Tell whether a metric counts a part of the clips: ``unseen/verb/top1``."""
    return not _SUBSETS.isdisjoint(metric.split("/"))


def _metainfo(dataset: Any) -> Mapping[str, Any]:
    return (dataset.metainfo or {}) if isinstance(dataset, DescribesData) else {}


def _split(dataset: Any, default: str) -> tuple[str, int]:
    return _metainfo(dataset).get("split") or default, len(dataset)
