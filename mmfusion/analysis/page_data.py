"""Clips by class and split as a page shows them, and what to beware of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mmfusion.analysis.trained_runs import TrainedRun
from mmfusion.evaluation.by_class import ClassReport
from mmfusion.evaluation.functional import Interval
from mmfusion.evaluation.predictions import Predictions
from mmfusion.utils.errors import MMFusionError
from mmfusion.visualization.report import DataPart, SplitRow

_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_MOST_ROWS = 100  # classes of the table
_FEW = 30  # test clips, under which a page says so first


def open_datasets(run: TrainedRun) -> tuple[dict[str, Any], str]:
    """Datasets by loader, without pipelines, and why one cannot be opened.

    Returns:
        All of them and "", or none and a reason.
    """
    found = {}
    for loader in _LOADERS:
        try:
            one = run.dataset(loader)
        except (MMFusionError, OSError) as error:
            return {}, str(error).splitlines()[0]
        if one is not None:
            found[loader] = one
    return found, ""


def describe_data(
    known: Mapping[str, Any], predictions: Predictions, task: str
) -> DataPart:
    """Clips of each class in the splits that a run used.

    Args:
        known: datasets by loader; none where the data is not there.
        predictions: of the test.
        task: whose classes.
    """
    counts: dict[str, Counter[int]] = {}
    totals: dict[str, int] = {}
    for one in known.values():
        split = one.split or "all"
        records = [one.get_record(index) for index in range(len(one))]
        labels = [record["label"].get(task) for record in records]
        counts[split] = Counter(label for label in labels if label is not None)
        totals[split] = len(records)
    meta = next(iter(known.values())).metainfo if known else predictions.metainfo
    names = (meta.get("classes") or {}).get(task) or []
    rows = [
        SplitRow(name, tuple(counts[split][number] for split in counts))
        for number, name in enumerate(names)
        if any(counts[split][number] for split in counts)
    ]
    tested = predictions.metainfo.get("split") or "test"
    notes = _notes(meta)
    if len(rows) > _MOST_ROWS:
        notes.append(f"{len(rows)} classes, the first {_MOST_ROWS} are listed.")
    return DataPart(
        name=str(meta.get("dataset", "data of unknown name")),
        task=task,
        splits=tuple(counts),
        rows=tuple(rows[:_MOST_ROWS]),
        totals=tuple(totals.values()),
        tested=str(tested),
        notes=tuple(notes),
    )


def _notes(meta: dict) -> list[str]:
    """Sentences on how the annotation was made, as far as it says."""
    extra = meta.get("extra") or {}
    found = [str(extra[key]) for key in ("split_rule",) if extra.get(key)]
    more = extra.get("notes")
    if isinstance(more, list):
        found += [str(line) for line in more]
    return found


def cautions(
    known: Mapping[str, Any], report: ClassReport, top1: Interval
) -> list[str]:
    """Sentences on what a reader must not believe.

    Args:
        known: datasets by loader, as of :func:`open_datasets`.
        report: of the best model. top1: its accuracy.
    """
    found = []
    if report.num_clips < _FEW:
        found.append(
            f"Only {report.num_clips} clips were tested: one clip is"
            f" {100 / report.num_clips:.1f} points. The intervals are wide because of"
            " that; a difference between two models must be large to mean anything."
        )
    clips = report.counts.sum(axis=1)
    few = [name for name, n in zip(report.names, clips, strict=True) if 0 < n < 5]
    if few and report.num_clips >= _FEW:
        found.append(
            f"{len(few)} of {len(report.names)} classes have under 5 test clips: their"
            " own accuracies say little."
        )
    found += _guessing(report, top1)
    found += _leaks(known)
    return found


def majority(report: ClassReport) -> float:
    """Accuracy of one who always names the commonest class of the test, percent."""
    return 100.0 * float(report.counts.sum(axis=1).max()) / report.num_clips


def _guessing(report: ClassReport, top1: Interval) -> list[str]:
    guess = majority(report)
    if top1.low > guess:
        return []
    return [
        f"The interval of the best model reaches down to {top1.low:.1f} %, and always"
        f" naming the commonest class gives {guess:.1f} %: it is not shown that"
        " anything was learned."
    ]


def _leaks(known: Mapping[str, Any]) -> Sequence[str]:
    """Ways in which the tested clips were not new to the model."""
    train, val, test = (known.get(loader) for loader in _LOADERS)
    if test is None or train is None:
        return []
    found = []
    if val is not None and (val.ann_file, val.split) == (test.ann_file, test.split):
        found.append(
            "The tested clips are those by which the best epoch was chosen: the figures"
            " are a little too good. Test on clips that were kept apart."
        )
    videos = [
        {
            record["video"] or record["frame_dir"] or record["group"]
            for record in (one.get_record(i) for i in range(len(one)))
        }
        - {None}
        for one in (train, test)
    ]
    shared = videos[0] & videos[1]
    if shared:
        found.append(
            f"{len(shared)} of {len(videos[1])} tested videos were trained on as well"
            " (other parts of them): the figures say nothing about new videos."
        )
    return found
