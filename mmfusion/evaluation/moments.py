"""Scores and labels of every moment of untrimmed videos, put together.

Shapes: t moments of a video, k classes and, after them, background.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmfusion.utils.errors import InputError

_EPS = 1e-6  # seconds by which a moment may lie after the time that is asked for


def moments_row(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Scores, labels and times of a data sample in the dict form metrics receive.

    Raises:
        ValueError: it has no scores of moments, or its metainfo lacks ``video_id``,
            ``moments`` or ``segments``.
    """
    score = {
        key.removeprefix("score_"): np.asarray(value.cpu(), np.float32)
        for key, value in sample.items()
        if key.startswith("score_")
    }
    lacking = [k for k in ("video_id", "moments", "segments") if sample.get(k) is None]
    lacking += [f"gt_{task}" for task in score if f"gt_{task}" not in sample]
    if lacking or not score or any(value.ndim != 2 for value in score.values()):
        raise InputError(
            f"sample {sample.get('sample_id')!r} lacks {lacking}, and has scores of"
            f" {sorted(score)}; expected scores (t, k + 1) of moments, and LabelMoments"
            " and PackInputs(meta_keys=['moments', 'segments']) in the pipeline"
        )
    _check_shapes(sample, score)
    return {
        "video": str(sample["video_id"]),
        "moments": np.asarray(sample["moments"], np.float64),
        "tau_a": float(sample.get("tau_a") or 0.0),
        "segments": sample["segments"],
        "score": score,
        "label": {task: np.asarray(sample[f"gt_{task}"].cpu()) > 0 for task in score},
        "meta": {key: sample.get(key) for key in ("participant_id",)},
    }


def _check_shapes(sample: Mapping[str, Any], score: Mapping[str, NDArray]) -> None:
    """Scores have the moments and classes of the labels, background among them."""
    for task, value in score.items():
        expected = tuple(sample[f"gt_{task}"].shape)
        if value.shape != expected:
            raise InputError(
                f"sample {sample.get('sample_id')!r} has {task} scores {value.shape},"
                f" expected {expected}: each moment of its labels, and background as"
                " the last class"
            )


def join_windows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of :func:`moments_row` by video, moments in time order, each once."""
    if not rows:
        raise InputError("there are no predictions: no sample was tested")
    videos: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        videos.setdefault(row["video"], []).append(row)
    return [_joined(own) for own in videos.values()]


def _joined(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    late_first = sorted(rows, key=lambda row: -row["moments"][0])
    every = np.concatenate([row["moments"] for row in late_first])
    _, kept = np.unique(np.round(every, 6), return_index=True)  # the first that came

    def pick(kind: str, task: str) -> NDArray:
        return np.concatenate([row[kind][task] for row in late_first])[kept]

    segments = {
        (start, end, *sorted(label.items())): [start, end, label]
        for row in rows
        for start, end, label in row["segments"]
    }
    return {
        **rows[0],
        "moments": every[kept],
        "segments": sorted(segments.values(), key=lambda segment: segment[0]),
        "score": {task: pick("score", task) for task in rows[0]["score"]},
        "label": {task: pick("label", task) for task in rows[0]["label"]},
    }


def scores_at(video: Mapping[str, Any], seconds: float) -> dict[str, NDArray]:
    """Scores (k + 1) by task at the last moment that is not after ``seconds``.

    Before the first moment it is the first, as an evaluation keeps every segment: the
    first frame is shown all the same, as ``SampleObservedFrames`` does.

    Args:
        video: one of :func:`join_windows`.
    """
    place = int(np.searchsorted(video["moments"], seconds + _EPS, side="right")) - 1
    return {task: score[max(0, place)] for task, score in video["score"].items()}
