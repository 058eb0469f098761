"""The scores of a model on a set of clips, and the file that holds them.

JSON: ``{"metainfo": {...}, "predictions": [{"id": str, "gt": {task: int}, "score":
{task: [k numbers]}}]}``. NPZ: the same as arrays ``id`` (n,), ``gt_<task>`` (n,),
``score_<task>`` (n, k) and ``metainfo``, a JSON string.
"""

import io
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmfusion.utils.errors import InputError
from mmfusion.utils.npz_file import read_npz
from mmfusion.utils.paths import write_atomic

NO_LABEL = -1
_MAX_BYTES = 8 * 2**30  # of a file, unpacked
_GT, _SCORE = "gt_", "score_"


@dataclass(frozen=True)
class Predictions:
    """Scores and labels of n clips.

    Attributes:
        ids: n different names.
        score: by task, (n, k) float32.
        gt: by task, (n,) int64; ``NO_LABEL`` where a clip has none.
        metainfo: plain values; ``classes`` gives the names by task.
    """

    ids: list[str]
    score: dict[str, NDArray[np.float32]]
    gt: dict[str, NDArray[np.int64]]
    metainfo: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def labels(self, task: str) -> NDArray[np.int64]:
        """(n,) labels of a task; ValueError if clips have none."""
        labels = self.gt.get(task)
        missing = self.ids if labels is None else self._ids_where(labels == NO_LABEL)
        if labels is None or missing:
            raise InputError(
                f"{len(missing)} of {len(self)} samples have no label for {task!r}, "
                f"the first is {missing[0]!r}: the accuracy cannot be computed. Where "
                "labels are hidden (H2O's test split), dump the predictions and hand "
                "them in (tools/data/h2o/README.md)"
            )
        return labels

    def _ids_where(self, chosen: NDArray[np.bool_]) -> list[str]:
        return [self.ids[i] for i in np.flatnonzero(chosen)]


def prediction_row(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Id, labels and scores of a data sample in the dict form metrics receive."""
    if sample.get("sample_id") is None:
        raise InputError(
            f"a data sample has no sample_id, only {sorted(sample)}: the pipeline must "
            "set it (PackInputs does)"
        )
    labels = {task: int(value) for task, value in _by_task(sample, _GT).items()}
    scores = {
        task: np.asarray(value.cpu(), dtype=np.float32)
        for task, value in _by_task(sample, _SCORE).items()
    }
    return {"id": str(sample["sample_id"]), "gt": labels, "score": scores}


def _by_task(content: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Values whose key has the prefix, by the rest of the key."""
    return {
        key.removeprefix(prefix): value
        for key, value in content.items()
        if key.startswith(prefix)
    }


def from_rows(
    rows: Sequence[Mapping[str, Any]], metainfo: Mapping[str, Any] | None = None
) -> Predictions:
    """Put rows of :func:`prediction_row` together.

    Raises:
        ValueError: no rows, an id twice (a clip would count twice), or rows whose
            tasks or classes differ.
    """
    if not rows:
        raise InputError("there are no predictions: no sample was tested")
    ids = [row["id"] for row in rows]
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise InputError(
            f"{len(twice)} sample ids came more than once, the first is {twice[0]!r}: "
            "ids must be unique, and no clip may be counted twice"
        )
    first = {task: len(score) for task, score in rows[0]["score"].items()}
    for row in rows:
        found = {task: len(score) for task, score in row["score"].items()}
        if found != first or not found:
            raise InputError(
                f"sample {row['id']!r} has scores of {found} classes, sample "
                f"{ids[0]!r} of {first}; expected the same, and one task or more"
            )
    score = {t: np.array([r["score"][t] for r in rows], np.float32) for t in first}
    tasks = {task for row in rows for task in row["gt"]}
    gt = {
        t: np.array([r["gt"].get(t, NO_LABEL) for r in rows], np.int64)
        for t in sorted(tasks)
    }
    return Predictions(ids, score, gt, dict(metainfo or {}))


def save_predictions(path: str | os.PathLike, predictions: Predictions) -> None:
    """Write a ``.json`` or ``.npz`` file, whole or not at all."""
    check_suffix(path)
    made = _npz_bytes if Path(path).suffix == ".npz" else _json_bytes
    write_atomic(str(path), made(predictions))


def load_predictions(path: str | os.PathLike) -> Predictions:
    """Read what :func:`save_predictions` wrote.

    Raises:
        ValueError: the file is of another kind; the message names it.
    """
    check_suffix(path)
    try:
        if Path(path).suffix == ".npz":
            return _read_npz(path)
        content = json.loads(Path(path).read_text())
        return from_rows(content["predictions"], content["metainfo"])
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
        raise InputError(f"{path} is no file of predictions: {error!r}") from error


def check_suffix(path: str | os.PathLike) -> None:
    """Raise ValueError unless ``path`` ends with .json or .npz."""
    if Path(path).suffix not in (".json", ".npz"):
        raise InputError(f"predictions: got {str(path)!r}, expected .json or .npz")


def _json_bytes(predictions: Predictions) -> bytes:
    lines = []
    for i, name in enumerate(predictions.ids):
        gt = {t: int(v[i]) for t, v in predictions.gt.items() if v[i] != NO_LABEL}
        # nine digits keep a float32 exactly
        score = {
            t: [float(f"{x:.9g}") for x in v[i]] for t, v in predictions.score.items()
        }
        lines.append(json.dumps({"id": name, "gt": gt, "score": score}))
    head = json.dumps(predictions.metainfo, default=float)
    body = ",\n".join(lines)
    return f'{{"metainfo": {head},\n"predictions": [\n{body}\n]}}\n'.encode()


def _npz_bytes(predictions: Predictions) -> bytes:
    arrays: dict[str, Any] = {_GT + t: v for t, v in predictions.gt.items()}
    arrays |= {_SCORE + t: v for t, v in predictions.score.items()}
    arrays["id"] = np.array(predictions.ids)
    arrays["metainfo"] = np.array(json.dumps(predictions.metainfo, default=float))
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _unreadable(path: str, reason: str) -> Exception:
    if not os.path.exists(path):
        return FileNotFoundError(path)
    return InputError(reason)


def _read_npz(path: str | os.PathLike) -> Predictions:
    arrays = read_npz(str(path), max_bytes=_MAX_BYTES, error=_unreadable)
    gt, score = _by_task(arrays, _GT), _by_task(arrays, _SCORE)
    rows = [
        {
            "id": str(name),
            "gt": {task: int(labels[i]) for task, labels in gt.items()},
            "score": {task: scores[i] for task, scores in score.items()},
        }
        for i, name in enumerate(arrays["id"])
    ]
    return from_rows(rows, json.loads(str(arrays["metainfo"])))
