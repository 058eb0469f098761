"""Accuracy of a fused model with streams taken away: how much it relies on each.

Encoders run once a clip; the neck and the heads run for every subset of the streams. A
stream is taken away between the two, in the ways that :data:`WAYS` describes. ``b``
clips, ``v`` views, ``l`` tokens, ``d`` channels.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor
from torch.utils.data import DataLoader

from mmfusion.analysis.reports import ceiling_of
from mmfusion.analysis.tables import Grid
from mmfusion.evaluation.answers import answers, tasks_of
from mmfusion.evaluation.calibration import calibration
from mmfusion.evaluation.functional import Interval, wilson_interval
from mmfusion.evaluation.predictions import Predictions, from_rows, prediction_row
from mmfusion.evaluation.statistics import MethodResult, PairTest, compare_pairs
from mmfusion.models.recognizers.multimodal_recognizer import (
    MultiModalRecognizer,
)
from mmfusion.registry import RUNNERS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import ConfigError, InputError

WAYS = {
    "absent": "the neck is told that the clip lacks the stream: its tokens and its CLS"
    " token are zero, its mask is False, as where a file is missing; the model was not"
    " trained so, unless its clips lack streams",
    "swapped": "the stream is that of another clip of the test, drawn at random; where"
    " several are taken away, all are of the same other clip. The model sees what it is"
    " used to, but what is swapped contradicts what is left",
}
_MOST = 4  # streams of which every subset is tested

Kept = tuple[str, ...]
Features = dict[str, TokenFeatures]


@dataclass(frozen=True)
class SubsetResult:
    """Test of a model that keeps some of its streams.

    Attributes:
        kept: streams as they are.
        accuracy: top-1 with Wilson's interval, percent.
        test: against the model with all streams, on the same clips; None for itself.
        ece: calibration error, percent; None where scores are no probabilities.
        ceiling: best accuracy that these streams allow, percent, where it is known.
    """

    kept: Kept
    accuracy: Interval
    test: PairTest | None
    ece: float | None
    ceiling: float | None


@dataclass(frozen=True)
class Reliance:
    """One task, with the streams taken away in one way.

    Attributes:
        task: its name.
        way: a key of :data:`WAYS`.
        num_clips: of the test.
        results: all streams first, then by how many are kept.
    """

    task: str
    way: str
    num_clips: int
    results: tuple[SubsetResult, ...]

    def grid(self) -> Grid:
        """A row for each subset of the streams."""
        with_ceiling = any(one.ceiling is not None for one in self.results)
        head = ["Streams kept", "Top-1 (%)", "95 % interval", "minus all"]
        head += ["95 % interval", "p", "Holm", "ECE (%)"]
        head += ["ceiling (%)"] if with_ceiling else []
        rows = []
        for one in self.results:
            cells = [" + ".join(one.kept), f"{one.accuracy.mean:.2f}"]
            cells.append(f"{one.accuracy.low:.1f} to {one.accuracy.high:.1f}")
            if one.test is None:
                cells += [""] * 4
            else:
                gap = one.test.difference
                cells += [f"{gap.mean:+.2f}", f"{gap.low:+.1f} to {gap.high:+.1f}"]
                cells += [f"{one.test.p_value:.4f}", f"{one.test.p_holm:.4f}"]
            cells.append("" if one.ece is None else f"{one.ece:.1f}")
            if with_ceiling:
                cells.append("" if one.ceiling is None else f"{one.ceiling:.1f}")
            rows.append(cells)
        title = f"{self.task}, n = {self.num_clips}, the other streams {self.way}"
        return Grid(title, head, rows)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "task": self.task,
            "way": self.way,
            "means": WAYS[self.way],
            "num_clips": self.num_clips,
            "results": [
                {
                    "kept": list(one.kept),
                    "accuracy": one.accuracy._asdict(),
                    "minus_all": one.test and one.test.difference._asdict(),
                    "p_value": one.test and one.test.p_value,
                    "p_holm": one.test and one.test.p_holm,
                    "ece": one.ece,
                    "ceiling": one.ceiling,
                }
                for one in self.results
            ],
        }


def subsets(streams: Sequence[str]) -> list[Kept]:
    """All of the streams, then the smaller sets of them, the larger ones first.

    Of more than four streams only those with one left out, or one kept.
    """
    count = len(streams)
    sizes = range(count, 0, -1) if count <= _MOST else (count, count - 1, 1)
    return [kept for size in sizes for kept in combinations(streams, size)]


def absent(stream: TokenFeatures, num_clips: int) -> TokenFeatures:
    """A stream that no clip has."""
    return stream.absent()


def swapped(stream: TokenFeatures, num_clips: int) -> TokenFeatures:
    """A stream whose clips have moved on by one; (b v q, ...) rows."""
    rows = len(stream.tokens) // num_clips

    def moved(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.roll(rows, dims=0)

    return TokenFeatures(
        stream.tokens.roll(rows, dims=0), moved(stream.cls), moved(stream.mask)
    )


TAKE_AWAY: Mapping[str, Callable[[TokenFeatures, int], TokenFeatures]] = {
    "absent": absent,
    "swapped": swapped,
}


def batch_size_without_rest(size: int, num_clips: int) -> int:
    """A batch size about ``size`` that leaves no last batch of a single clip.

    Raises:
        ValueError: there is only one clip, which none can be swapped with.
    """
    if num_clips < 2:
        raise InputError("stream reliance needs two clips or more, the test has one")
    size = max(size, 2)
    while num_clips % size == 1:
        size += 1
    return size


@torch.no_grad()
def predict_subsets(
    model: MultiModalRecognizer, loader: DataLoader, ways: Sequence[str] = (*WAYS,)
) -> dict[tuple[str, Kept], Predictions]:
    """Predictions of a model by way and by the streams that it keeps.

    Args:
        model: with a neck.
        loader: of the test, in random order where ``swapped`` is among the ways, and
            with two clips or more in each batch.
        ways: keys of :data:`WAYS`.

    Raises:
        ValueError: a model of one stream.
    """
    streams = tuple(model.encoders)
    if model.neck is None or len(streams) < 2:
        raise InputError(
            f"the model has one stream, {streams[0]!r}: there is none to take away;"
            " expected a model that fuses two or more"
        )
    model.eval()
    rows: dict[tuple[str, Kept], list[dict[str, Any]]] = {}
    for batch in loader:
        data = model.data_preprocessor(batch, False)
        samples = data["data_samples"]
        feats, views = model.encode(data["inputs"])
        for key, masked in _masked(feats, len(samples), ways):
            for sample in model.score(masked, views, samples):
                row = prediction_row(dict(sample.all_items()))
                rows.setdefault(key, []).append(row)
    metainfo = dict(getattr(loader.dataset, "metainfo", None) or {})
    return {
        (way, kept): from_rows(found, {**metainfo, "kept": list(kept), "others": way})
        for (way, kept), found in rows.items()
    }


def _masked(
    feats: Features, num_clips: int, ways: Sequence[str]
) -> Iterator[tuple[tuple[str, Kept], Features]]:
    """Features of every way and subset; the whole set once for each way."""
    for way in ways:
        others = {n: TAKE_AWAY[way](one, num_clips) for n, one in feats.items()}
        for kept in subsets(tuple(feats)):
            yield (
                (way, kept),
                {n: feats[n] if n in kept else others[n] for n in feats},
            )


def reliance_of(
    found: Mapping[tuple[str, Kept], Predictions],
    *,
    ceiling: Callable[[str, Kept], float | None] = lambda task, kept: None,
) -> list[Reliance]:
    """Compare the model with some of its streams with itself, by task and way.

    Args:
        found: of :func:`predict_subsets`.
        ceiling: best accuracy in percent by task and streams, None where not known.
    """
    ways = list(dict.fromkeys(way for way, _ in found))
    by_way = {
        way: {kept: one for (w, kept), one in found.items() if w == way} for way in ways
    }
    tasks = tasks_of(next(iter(found.values())))
    return [_of_task(task, way, by_way[way], ceiling) for task in tasks for way in ways]


def _of_task(
    task: str,
    way: str,
    found: Mapping[Kept, Predictions],
    ceiling: Callable[[str, Kept], float | None],
) -> Reliance:
    own = {kept: answers(one, task) for kept, one in found.items()}
    methods = {
        kept: MethodResult(" + ".join(kept), kept, one.ids, one.correct[None], (0,))
        for kept, one in own.items()
    }
    whole, *parts = methods
    tests = compare_pairs([(methods[kept], methods[whole]) for kept in parts])
    by_kept = dict(zip(parts, tests, strict=True))
    results = [
        SubsetResult(
            kept,
            wilson_interval(int(one.correct.sum()), len(one.ids)),
            by_kept.get(kept),
            calibration(one).ece if one.are_probabilities else None,
            ceiling(task, kept),
        )
        for kept, one in own.items()
    ]
    return Reliance(task, way, len(next(iter(own.values())).ids), tuple(results))


def measure(
    config: Config, ways: Sequence[str] = (*WAYS,)
) -> tuple[list[Reliance], dict[tuple[str, Kept], Predictions]]:
    """Test the model of a config with its streams taken away.

    Args:
        config: complete and without what trains, its ``load_from`` the checkpoint.
        ways: keys of :data:`WAYS`.

    Returns:
        The tables, and the predictions by way and streams.

    Raises:
        ConfigError: the config has no test.
    """
    if not config.get("test_dataloader"):
        raise ConfigError(
            "config key test_dataloader: lacks; stream reliance is a test"
        )
    config = copy.deepcopy(config)
    config.test_dataloader.sampler = dict(type="mmfusion.SeededSampler", shuffle=True)
    runner = RUNNERS.build(config)
    model, dataset = runner.model, runner.test_loop.dataloader.dataset
    if not isinstance(model, MultiModalRecognizer):
        raise ConfigError(
            f"config key model: {type(model).__name__}; expected MultiModalRecognizer"
        )
    runner.load_or_resume()
    size = config.test_dataloader.get("batch_size", 1)
    loader = runner.build_dataloader(
        {
            **config.test_dataloader,
            "dataset": dataset,
            "batch_size": batch_size_without_rest(size, len(dataset)),
        }
    )
    dumps = predict_subsets(model, loader, ways)
    test_set = {k: v for k, v in config.test_dataloader.dataset.items()}
    metainfo = next(iter(dumps.values())).metainfo
    found = reliance_of(
        dumps,
        ceiling=lambda task, kept: ceiling_of(test_set, kept, task, metainfo),
    )
    return found, dumps
