"""Methods of a page: the runs of one config, their name and their results."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mmfusion.analysis.stream_weights import WeightsByClip, weights_by_clip
from mmfusion.analysis.trained_runs import TrainedRun
from mmfusion.evaluation.statistics import MethodResult, collect
from mmfusion.utils.errors import InputError

_STREAM_NAMES = {"video": "RGB", "skeleton": "Hands", "text": "Text"}


def stream_name(stream: str) -> str:
    """Name of a stream on the page."""
    return _STREAM_NAMES.get(stream, stream)


def in_order(streams: Iterable[str]) -> list[str]:
    """Streams in the order of the page, whatever that of the config."""
    known = [*_STREAM_NAMES]
    return sorted(streams, key=lambda s: known.index(s) if s in known else len(known))


@dataclass(frozen=True)
class Method:
    """Runs of one config that differ by their seeds.

    Attributes:
        name: as the page calls it. runs: by seed; the first is looked into.
        colour: its number. result: of all seeds.
        weights: of the streams, by clip.
    """

    name: str
    runs: list[TrainedRun]
    colour: int
    result: MethodResult
    weights: WeightsByClip = field(default_factory=dict)

    @property
    def first(self) -> TrainedRun:
        """The run that figures of a single model are of."""
        return self.runs[0]


def find_methods(
    runs: Sequence[TrainedRun], task: str, with_clips: bool
) -> list[Method]:
    """Methods, the most accurate first.

    Args:
        runs: tested ones. task: whose accuracy.
        with_clips: ask the models for the weights of streams in each clip.
    """
    _check_same_clips(runs)
    by_name: dict[str, list[TrainedRun]] = {}
    for run in runs:
        by_name.setdefault(run.name, []).append(run)
    names = _names([own[0] for own in by_name.values()])
    results = []
    for name, own in zip(names, by_name.values(), strict=True):
        found = {run.seed: run.predictions for run in own}
        if len(found) != len(own):
            raise InputError(
                f"two of the runs {[str(run.folder) for run in own]} have one config"
                " and one seed; give one of them"
            )
        results.append((own, collect(name, own[0].streams, found, task)))
    results.sort(key=lambda pair: -pair[1].accuracy)
    return [
        Method(
            result.name,
            own,
            colour,
            result,
            weights_by_clip(own[0]) if with_clips else {},
        )
        for colour, (own, result) in enumerate(results)
    ]


def _check_same_clips(runs: Sequence[TrainedRun]) -> None:
    """Refuse runs of several test sets; of one config, too."""
    first = runs[0]
    for run in runs[1:]:
        ours, theirs = set(first.predictions.ids), set(run.predictions.ids)
        if ours != theirs:
            raise InputError(
                f"{first.folder} and {run.folder} were not tested on the same clips:"
                f" {len(ours - theirs)} are only in the first,"
                f" {len(theirs - ours)} only in the second; make a page of each, or"
                " test both on the same clips"
            )


def _names(runs: Sequence[TrainedRun]) -> list[str]:
    """Short names: the stream, or the mix; the config's where that is not enough."""
    names = []
    for run in runs:
        mix = ((run.config.model.get("neck") or {}).get("mix") or {}).get("type")
        kind = (mix if isinstance(mix, str) else getattr(mix, "__name__", "")) or ""
        kind = kind.rpartition(".")[2].removesuffix("Mix")
        if len(run.streams) == 1:
            names.append(stream_name(run.streams[0]))
        else:
            names.append(f"{kind} fusion" if kind else run.name)
    return [
        name if names.count(name) == 1 else run.name
        for name, run in zip(names, runs, strict=True)
    ]
