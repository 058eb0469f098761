"""Online detection by a stream and by a sliding window, beside chance and ceilings.

A stream is read once, from its first frame on, its states carried. A window of w
moments ends at each moment, is read anew, and gives its last score; the first one gives
all of its scores (as the published code of Mamba-OTR tests: arXiv 2507.16342).

Shapes: t moments of a video, w of a window, k classes and background.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import Tensor

from mmfusion.analysis.tables import Grid
from mmfusion.models.recognizers.multimodal_recognizer import (
    MultiModalRecognizer,
    probabilities,
)
from mmfusion.registry import RUNNERS
from mmfusion.structures import MASK_SUFFIX, ActionDataSample
from mmfusion.utils.errors import ConfigError, InputError

_BATCH = 32  # windows at a time
_CHANCE = "chance: the same score for all"
_TIME_AXIS = {"video": 3, "skeleton": 2}  # of (1, v, ...)
Inputs = dict[str, Tensor]
Scores = dict[str, Tensor]  # (t, k + 1) by task
Scorer = Callable[[Mapping[str, Any]], Mapping[str, np.ndarray]]
Ceilings = Mapping[str, Sequence[Scorer]]


@dataclass(frozen=True)
class OnlineResult:
    """Numbers of one way to score the moments of all videos.

    Attributes:
        name: of the way. metrics: percent by name, as the config's metrics give them.
    """

    name: str
    metrics: dict[str, float]


def stream_scores(model: MultiModalRecognizer, inputs: Inputs) -> Scores:
    """Scores of all moments, the video read once.

    Args:
        inputs: (1, 1, ...) by stream, preprocessed.

    Raises:
        ValueError: the model scores clips, not moments.
    """
    logits = model(inputs, mode="tensor")
    for task, value in logits.items():
        if value.ndim != 3:
            raise InputError(
                f"the model scores clips: {task} is {tuple(value.shape)}, expected"
                " (1, t, k + 1); its neck must give a vector a moment, as EveryMoment"
            )
    return {task: one[0] for task, one in probabilities(logits, 1).items()}


def window_scores(model: MultiModalRecognizer, inputs: Inputs, window: int) -> Scores:
    """Scores of all moments, each by the window that ends there.

    Args:
        inputs: (1, 1, ...) by stream, preprocessed. window: w moments, of the stream
            with the fewest frames.
    """
    counts = {name: inputs[name].shape[_TIME_AXIS[name]] for name in model.encoders}
    total = min(counts.values())
    window = min(window, total)
    found: dict[str, list[Tensor]] = {}
    starts = [*range(total - window + 1)]
    for begin in range(0, len(starts), _BATCH):
        parts = [
            _cut(inputs, counts, start / total, window / total)
            for start in starts[begin : begin + _BATCH]
        ]
        batch = {name: torch.cat([part[name] for part in parts]) for name in inputs}
        for task, value in probabilities(model(batch, mode="tensor"), 1).items():
            if begin == 0:
                found[task] = [value[0, :-1]]
            found[task].append(value[:, -1])
    return {task: torch.cat(parts) for task, parts in found.items()}


def _cut(
    inputs: Inputs, counts: Mapping[str, int], start: float, length: float
) -> Inputs:
    """A window of every stream and its mask, in shares of the whole."""
    parts = {}
    for name, value in inputs.items():
        stream = name.removesuffix(MASK_SUFFIX)
        axis = 2 if name.endswith(MASK_SUFFIX) else _TIME_AXIS[stream]
        size = round(length * counts[stream])
        first = min(round(start * counts[stream]), counts[stream] - size)
        parts[name] = value.narrow(axis, first, size)
    return parts


def constant_scores(sample: ActionDataSample) -> dict[str, np.ndarray]:
    """The same score for every class at every moment: chance."""
    found = {}
    for task in sample.tasks():
        shape = sample.get(f"gt_{task}").shape
        found[task] = np.full(shape, 1 / shape[1], np.float32)
    return found


@torch.no_grad()
def measure(
    config: Config,
    window: float,
    more: Callable[[Sequence[Sequence[Any]]], Ceilings] = lambda _: {},
) -> list[OnlineResult]:
    """Measure a model on the untrimmed videos of its test.

    Args:
        config: complete and without what trains, its ``load_from`` the checkpoint; its
            test reads whole videos.
        window: seconds of the sliding window.
        more: further rows, as ceilings: given the segments of all videos, gives by name
            functions of a sample's metainfo that give scores (t, k + 1) by task; the
            row has the mean of their numbers.

    Raises:
        ConfigError: the test is none of untrimmed videos.
    """
    runner = _runner(config)
    model, loop = runner.model, runner.test_loop
    runner.load_or_resume()
    model.eval()
    dataset = loop.dataloader.dataset
    records = (dataset.get_record(place) for place in range(len(dataset)))
    segments = [one for record in records for one in record["extra"]["segments"]]
    ways: dict[str, Callable[[Inputs, ActionDataSample], Mapping]] = {
        f"sliding window of {window:g} s": lambda inputs, sample: window_scores(
            model, inputs, _moments_of(window, sample)
        ),
        "stream": lambda inputs, _: stream_scores(model, inputs),
    }
    rows = {name: [name] for name in ways}
    if not _anticipates(config):
        ways |= {_CHANCE: lambda _, sample: constant_scores(sample)}
        rows = {_CHANCE: [_CHANCE]} | rows
        for name, scorers in more(segments).items():
            rows[name] = [f"{name}, {number}" for number in range(len(scorers))]
            ways |= zip(rows[name], map(_by_metainfo, scorers), strict=True)
    found: dict[str, list[ActionDataSample]] = {name: [] for name in ways}
    for batch in loop.dataloader:  # one video
        data = model.data_preprocessor(batch, False)
        (sample,) = data["data_samples"]
        for name, way in ways.items():
            scores = way(data["inputs"], sample)
            own = {task: scores[task] for task in model.heads}
            found[name].append(_scored(sample, own))
    numbers = {}
    logger = MMLogger.get_current_instance()
    level = logger.level
    for name, samples in found.items():
        loop.evaluator.process(data_samples=samples)
        numbers[name] = loop.evaluator.evaluate(len(samples))
        logger.setLevel("WARNING")  # what the metrics say is the same for all
    logger.setLevel(level)
    return [
        OnlineResult(row, _mean([numbers[name] for name in names]))
        for row, names in rows.items()
    ]


def _anticipates(config: Config) -> bool:
    """Tell whether moments have the labels of later ones.

    Neither chance nor a ceiling stands beside such a test: equal scores say nothing of
    recall, and what streams can tell is of the moment itself.
    """
    steps = config.test_dataloader.dataset.get("pipeline") or []
    return any(step.get("tau_a") for step in steps)


def _mean(numbers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([one[key] for one in numbers])) for key in numbers[0]}


def _by_metainfo(scorer: Scorer) -> Callable[[Inputs, ActionDataSample], Mapping]:
    return lambda _, sample: scorer(sample.metainfo)


def _scored(sample: ActionDataSample, scores: Mapping[str, Any]) -> ActionDataSample:
    """A copy of a sample with scores by task."""
    sample = sample.clone()
    for task, value in scores.items():
        sample.set_field(torch.as_tensor(value), f"score_{task}")
    return sample


def _moments_of(window: float, sample: ActionDataSample) -> int:
    """Moments in so many seconds."""
    moments = sample.moments
    step = float(np.diff(moments).mean()) if len(moments) > 1 else window
    return max(1, round(window / step))


def _runner(config: Config) -> Any:
    config = copy.deepcopy(config)
    test = config.get("test_dataloader") or {}
    if (test.get("dataset") or {}).get("untrimmed") is None:
        raise ConfigError(
            "config key test_dataloader.dataset.untrimmed: lacks; online detection is"
            " tested on whole videos"
        )
    config.test_dataloader.batch_size = 1
    runner = RUNNERS.build(config)
    if not isinstance(runner.model, MultiModalRecognizer):
        raise ConfigError("config key model: expected a MultiModalRecognizer")
    return runner


def grid_of(results: Sequence[OnlineResult], title: str) -> Grid:
    """A row for each number, a column for each way."""
    head = ["Scores of moments", *(one.name for one in results)]
    rows = [
        [key, *(f"{one.metrics[key]:.2f}" for one in results)]
        for key in results[0].metrics
    ]
    return Grid(title, head, rows)
