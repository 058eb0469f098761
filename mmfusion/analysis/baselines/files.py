"""Files of predictions that no training makes, and what they say of themselves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmfusion.analysis.baselines.clips import ClipReader, Clips, vectors
from mmfusion.analysis.baselines.linear import LinearModel, fit_linear
from mmfusion.evaluation.predictions import (
    Predictions,
    load_predictions,
    save_predictions,
)
from mmfusion.evaluation.report import report_of
from mmfusion.utils.errors import InputError, MMFusionError

LATE, LINEAR, LINEAR_SUM = "late_fusion", "linear", "linear_sum"
META = "baseline"  # key of the metainfo


def linear_file(
    path: Path, config: Config, stream: str, beside: Predictions, reader: ClipReader
) -> Predictions:
    """Predictions of a linear model, from the file or made now and written there.

    The file serves where the clips and the numbers of them are what they were, and
    where the data is gone.

    Args:
        path: of the file.
        config: whose clips are read.
        stream: of the numbers.
        beside: as of :func:`linear_predictions`.
        reader: keeps what was read.

    Raises:
        InputError: no linear model of such data is made.
    """
    old = load_predictions(path) if path.is_file() else None
    fits = old is not None and _same_clips(old, beside)
    try:
        says = {"kind": LINEAR, **reader.describe(config, stream)}
    except (MMFusionError, OSError):
        if old is not None and fits:
            return old
        raise
    if old is not None and fits and says.items() <= old.metainfo[META].items():
        return old
    clips = reader.splits(config, stream)
    found, models = linear_predictions(clips, stream, beside)
    strength = {task: model.strength for task, model in models.items()}
    return save_baseline(path, found, {**says, "strength": strength})


def linear_predictions(
    clips: Mapping[str, Clips], stream: str, beside: Predictions
) -> tuple[Predictions, dict[str, LinearModel]]:
    """Predictions of a linear model on the clips that another model was tested on.

    Args:
        clips: of ``train``, ``test`` and, where it may choose, ``val``.
        stream: of the numbers.
        beside: predictions that give ids, labels, tasks and classes.

    Returns:
        The predictions, and the model of each task.

    Raises:
        InputError: a clip of ``beside`` is not in the test set, or see
            :func:`fit_linear`.
    """
    make = vectors(stream, clips["train"])
    places = {name: place for place, name in enumerate(clips["test"].ids)}
    lacking = [name for name in beside.ids if name not in places]
    if lacking:
        raise InputError(
            f"{len(lacking)} tested clips are not in the test set now, such as"
            f" {lacking[0]!r}"
        )
    x = {split: make(found) for split, found in clips.items()}
    test = x["test"][[places[name] for name in beside.ids]]
    score, models = {}, {}
    for task, other in beside.score.items():
        train = clips["train"].labelled(x["train"], task)
        val = clips["val"].labelled(x["val"], task) if "val" in clips else None
        val = val if val is not None and len(val.labels) else None
        models[task] = fit_linear(train, val, other.shape[1])
        score[task] = models[task].probabilities(test).astype(np.float32)
    return Predictions(beside.ids, score, beside.gt, beside.metainfo), models


def save_baseline(
    path: Path, made: Predictions, says: Mapping[str, Any]
) -> Predictions:
    """Write a file as the test of a model does, with ``says`` under ``META``."""
    metainfo = {
        key: value
        for key, value in made.metainfo.items()
        if key not in ("metrics", "checkpoint", "report", META)
    }
    found = Predictions(made.ids, made.score, made.gt, {**metainfo, META: dict(says)})
    found.metainfo["report"] = report_of(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_predictions(path, found)
    return found


def _same_clips(old: Predictions, beside: Predictions) -> bool:
    """True for a linear model's predictions of the same clips and classes."""
    own, other = (
        {task: score.shape[1] for task, score in one.score.items()}
        for one in (old, beside)
    )
    says = old.metainfo.get(META)
    is_linear = isinstance(says, dict) and says.get("kind") == LINEAR
    return is_linear and own == other and {*old.ids} == {*beside.ids}
