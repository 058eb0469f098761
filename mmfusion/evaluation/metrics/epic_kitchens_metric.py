"""EPIC-KITCHENS-100's numbers in a run: recognition and anticipation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmfusion.evaluation.challenge import NUM_ACTIONS, Supervision, write_submission
from mmfusion.evaluation.ek100 import (
    TASKS,
    Scores,
    Segments,
    Subsets,
    anticipation,
    recognition,
    scores_of,
)
from mmfusion.evaluation.functional import Interval
from mmfusion.evaluation.predictions import Predictions, from_rows, prediction_row
from mmfusion.registry import METRICS
from mmfusion.utils.errors import InputError

_KINDS = ("recognition", "anticipation")
_PROTOCOL = ("tau_a", "tau_o", "sampling")
_META = ("video_id", "participant_id", "question_source", "padded", *_PROTOCOL)


@METRICS.register_module()
class EpicKitchensMetric(BaseMetric):
    """Verb, noun and action of EPIC-KITCHENS-100, overall, unseen and tail, in percent.

    Recognition: ``<task>/top1``, ``top5`` and ``mean_class``; anticipation: class-mean
    ``<task>/recall5``; ``unseen/`` and ``tail/`` of both where there are such segments.
    See :mod:`mmfusion.evaluation.ek100` for the definitions. The log has a table with
    95 % intervals over videos.

    Every key begins with what the number depends on: the source of the questions and,
    for anticipation, the two times, as in ``predicted/tau_a=1s/tau_o=2.13s/
    action/recall5``. A model without text has no source. Where another model's
    predictions chose the questions, its accuracy stands above the table.

    Verb and noun of a model with an action head only are sums over its actions.

    Reads ``score_<task>``, ``gt_verb`` and ``gt_noun``, and of the metainfo
    ``sample_id``, ``video_id``, ``participant_id``, ``question_source``, ``tau_a``,
    ``tau_o``, ``sampling`` and ``padded``. The dataset's metainfo gives ``classes``,
    and where it has them ``action_pairs`` (verb and noun of each class of an action
    head), ``tail_verbs``, ``tail_nouns``, ``unseen_participants``, ``recognisers``.

    Args:
        task: ``recognition`` (challenge C1) or ``anticipation`` (C3).
        action_from: ``head`` ranks actions by ``score_action``, ``pairs`` by verb times
            noun; None takes the head where there is one.
        challenge_file: also write the challenge's zip, here.
        supervision: pre-training, labels and data of that file, 0 to 5 each; see
            :class:`Supervision`. Questions written from labels are labels of level 5.
        collect_device: where results of several processes meet, as in MMEngine.
        prefix: put before every key; none by default.

    Example:
        >>> EpicKitchensMetric(task="anticipation").task
        'anticipation'
    """

    default_prefix = ""  # None would make MMEngine warn

    def __init__(
        self,
        task: str = "recognition",
        *,
        action_from: str | None = None,
        challenge_file: str | None = None,
        supervision: Sequence[int] = (2, 3, 3),
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        if task not in _KINDS:
            raise InputError(f"task is {task!r}, expected one of {list(_KINDS)}")
        if action_from not in (None, "head", "pairs"):
            raise InputError(
                f"action_from is {action_from!r}, expected 'head', 'pairs' or None"
            )
        if len(supervision) != 3:
            raise InputError(
                f"supervision is {supervision!r}, expected three levels: pre-training, "
                "labels, data"
            )
        self.task = task
        self.action_from = action_from
        self.challenge_file = challenge_file
        self.supervision = Supervision(*supervision)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep id, labels, scores and protocol of a batch."""
        self.results.extend(segment_row(sample) for sample in data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """All numbers of all segments, percent; the log gets them as a table."""
        predictions = from_rows(results)
        metas = [row["meta"] for row in results]
        dataset = self.dataset_meta or {}
        scores = _scores(predictions, dataset, self.action_from)
        segments = _segments(predictions, metas)
        if self.challenge_file is not None:
            self._write_challenge(predictions.ids, scores)
        numbers = recognition if self.task == "recognition" else anticipation
        found = numbers(scores, segments, _subsets(dataset))
        protocol = protocol_of(metas)
        videos = len(np.unique(segments.video))
        header = (
            f"{self.task}, {len(results)} segments of {videos} videos"
            f"{_padded(metas)}; {', '.join(protocol) or 'no questions'}"
            f"{_recognisers(dataset)}"
        )
        MMLogger.get_current_instance().info(format_table(header, found))
        path = "".join(f"{part}/" for part in protocol)
        return {f"{path}{key}": value.mean for key, value in found.items()}

    def _write_challenge(self, ids: Sequence[str], scores: Scores) -> None:
        assert self.challenge_file is not None
        write_submission(
            self.challenge_file,
            ids,
            scores,
            challenge=f"action_{self.task}",
            supervision=self.supervision,
            num_actions=min(NUM_ACTIONS, scores.num_actions),
        )
        MMLogger.get_current_instance().info(
            f"wrote {len(ids)} segments to {self.challenge_file}"
        )


def segment_row(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Id, labels, scores and protocol of a data sample in the form metrics receive."""
    meta = {key: sample[key] for key in _META if sample.get(key) is not None}
    return {**prediction_row(sample), "meta": meta}


def protocol_of(metas: Sequence[Mapping[str, Any]]) -> list[str]:
    """Protocol of the numbers: the questions' source, then tau_a, tau_o and sampling.

    Args:
        metas: of the segments; ``question_source`` and ``sampling`` as text, the times
            in seconds.

    Raises:
        ValueError: segments of different times, or some without a source.
    """
    sources = {str(meta["question_source"]) for meta in metas if _has_source(meta)}
    without = sum(not _has_source(meta) for meta in metas)
    if sources and without:
        raise InputError(
            f"{without} of {len(metas)} segments have no question_source, the "
            "others have; expected questions for all of them, or for none"
        )
    parts = ["+".join(sorted(sources))] if sources else []
    for key in _PROTOCOL:
        values = {meta.get(key) for meta in metas}
        if len(values) > 1:
            raise InputError(f"{key} differs between segments: {values}")
        value = values.pop()
        if isinstance(value, str):
            parts.append(f"{key}={value}")
        elif value is not None:
            parts.append(f"{key}={float(value):.3g}s")
    return parts


def _has_source(meta: Mapping[str, Any]) -> bool:
    return meta.get("question_source") is not None


def format_table(header: str, found: Mapping[str, Interval]) -> str:
    """Numbers and intervals in three columns, one row a metric."""
    rows: dict[str, dict[str, str]] = {}
    for key, (mean, low, high) in found.items():
        *subset, task, metric = key.split("/")
        cell = f"{mean:.2f} ({low:.1f} to {high:.1f})"
        rows.setdefault(" ".join([*subset, metric]), {})[task] = cell
    lines = [header, " " * 16 + "".join(f"{task:>24}" for task in TASKS)]
    for name, cells in rows.items():
        lines.append(f"{name:<16}" + "".join(f"{cells.get(t, ''):>24}" for t in TASKS))
    return "\n".join(lines)


def _scores(
    predictions: Predictions, dataset: Mapping[str, Any], action_from: str | None
) -> Scores:
    """Logarithms of the finite scores of the heads, verb and noun always."""
    score = predictions.score
    for task, value in score.items():
        bad = np.flatnonzero(~np.isfinite(value).all(axis=1))
        if bad.size:
            raise InputError(
                f"sample {predictions.ids[bad[0]]!r} has a {task} score that is not "
                "finite"
            )
    if action_from == "head" and "action" not in score:
        raise InputError(
            f"action_from is 'head', but the model scores {sorted(score)}; expected"
            " action among them"
        )
    sizes = {task: len(names) for task, names in (dataset.get("classes") or {}).items()}
    pairs, with_head = dataset.get("action_pairs"), action_from != "pairs"
    return scores_of(score, pairs, sizes, with_head=with_head)


def _segments(predictions: Predictions, metas: Sequence[Mapping[str, Any]]) -> Segments:
    for name, meta in zip(predictions.ids, metas, strict=True):
        missing = [k for k in ("video_id", "participant_id") if k not in meta]
        if missing:
            raise InputError(
                f"sample {name!r} has no {missing} in its metainfo; expected a record "
                "whose 'extra' has them, from which PackInputs takes them"
            )
    return Segments(
        predictions.labels("verb"),
        predictions.labels("noun"),
        np.array([str(meta["video_id"]) for meta in metas]),
        np.array([str(meta["participant_id"]) for meta in metas]),
    )


def _subsets(dataset: Mapping[str, Any]) -> Subsets:
    return Subsets(
        frozenset(dataset.get("tail_verbs") or ()),
        frozenset(dataset.get("tail_nouns") or ()),
        frozenset(dataset.get("unseen_participants") or ()),
    )


def _padded(metas: Sequence[Mapping[str, Any]]) -> str:
    count = sum(bool(meta.get("padded")) for meta in metas)
    return f", {count} of them padded by their first frame" if count else ""


def _recognisers(dataset: Mapping[str, Any]) -> str:
    """One line for each model that chose the questions: how often it is right."""
    lines = []
    for one in dataset.get("recognisers") or ():
        known = one["accuracy"]
        if known["num_labelled"]:
            right = ", ".join(f"{task} {known[task]:.1f}" for task in TASKS)
            right += f" % top-1 (n = {known['num_labelled']})"
        else:
            right = "accuracy not known, its clips had no labels"
        lines.append(f"\nquestions chosen by {one['recogniser']!r}: {right}")
    return "".join(lines)
