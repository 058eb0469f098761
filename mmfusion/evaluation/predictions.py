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

from mmfusion.structures import MMACTION_LABEL, of_moments
from mmfusion.utils.errors import InputError
from mmfusion.utils.npz_file import read_npz
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import parse_json, read_json

NO_LABEL = -1
_GT, _SCORE = "gt_", "score_"
# of JSON, and of an npz unpacked; EPIC's test with 3,806 actions takes 7e8
_MAX_BYTES = 1 << 31


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
    if of_moments(sample):
        raise InputError(
            f"sample {sample['sample_id']!r} has scores of moments, expected those of a"
            " clip: OnlineDetectionMetric reads the others"
        )
    own = {key: value for key, value in sample.items() if key != MMACTION_LABEL}
    labels = {task: int(value) for task, value in _by_task(own, _GT).items()}
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
    twice = _repeated(ids)
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


def _repeated(ids: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(ids).items() if count > 1]


def pool(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of different clips as those of one set, such as of all folds.

    Raises:
        ValueError: a clip is in two parts, or tasks or classes differ.
    """
    first = parts[0]
    for part in parts[1:]:
        mine, its = ({t: s.shape[1] for t, s in p.score.items()} for p in (first, part))
        if mine != its or first.gt.keys() != part.gt.keys():
            raise InputError(
                f"predictions of {its} classes cannot be put to those of {mine}"
            )
    ids = [name for part in parts for name in part.ids]
    twice = _repeated(ids)
    if twice:
        raise InputError(
            f"{len(twice)} clips were tested in two folds, the first is {twice[0]!r};"
            " expected each in one"
        )
    return Predictions(
        ids,
        {t: np.concatenate([part.score[t] for part in parts]) for t in first.score},
        {t: np.concatenate([part.gt[t] for part in parts]) for t in first.gt},
        first.metainfo,
    )


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
        return _read_json(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no file of predictions: {error}") from error


def check_suffix(path: str | os.PathLike) -> None:
    """Raise ValueError unless ``path`` ends with .json or .npz."""
    if Path(path).suffix not in (".json", ".npz"):
        raise InputError(f"predictions: got {str(path)!r}, expected .json or .npz")


def _plain(value: Any) -> Any:
    """A number or a matrix that a metric gave, as JSON has it."""
    return value.tolist() if hasattr(value, "tolist") else float(value)


def _json_bytes(predictions: Predictions) -> bytes:
    lines = []
    for i, name in enumerate(predictions.ids):
        gt = {t: int(v[i]) for t, v in predictions.gt.items() if v[i] != NO_LABEL}
        # nine digits keep a float32 exactly
        score = {
            t: [float(f"{x:.9g}") for x in v[i]] for t, v in predictions.score.items()
        }
        lines.append(json.dumps({"id": name, "gt": gt, "score": score}))
    head = json.dumps(predictions.metainfo, default=_plain)
    body = ",\n".join(lines)
    return f'{{"metainfo": {head},\n"predictions": [\n{body}\n]}}\n'.encode()


def _npz_bytes(predictions: Predictions) -> bytes:
    arrays: dict[str, Any] = {_GT + t: v for t, v in predictions.gt.items()}
    arrays |= {_SCORE + t: v for t, v in predictions.score.items()}
    arrays["id"] = np.array(predictions.ids)
    arrays["metainfo"] = np.array(json.dumps(predictions.metainfo, default=_plain))
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _unreadable(path: str, reason: str) -> Exception:
    if not os.path.exists(path):
        return FileNotFoundError(path)
    return InputError(reason)


def _read_json(path: str | os.PathLike) -> Predictions:
    os.stat(path)  # FileNotFoundError, as for an npz
    content = read_json(path, max_bytes=_MAX_BYTES, error_type=InputError)
    rows = content.get("predictions") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise InputError(
            f"it holds {shown(content)}; expected an object with 'metainfo' and"
            " 'predictions', a list"
        )
    return _checked(
        [_row(row, f"prediction {place}") for place, row in enumerate(rows)],
        content.get("metainfo"),
    )


def _row(row: Any, where: str) -> dict[str, Any]:
    """One entry of a JSON file, its scores as float32 arrays."""
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise InputError(f"{where} is {shown(row)}; expected an object with 'id', text")
    where = f"{where} (id {row['id']!r:.80})"
    for key in ("gt", "score"):
        if not isinstance(row.get(key), dict):
            raise InputError(
                f"{where}: {key} is {shown(row.get(key))}; expected an object by task"
            )
    for task, label in row["gt"].items():
        if type(label) is not int:
            raise InputError(
                f"{where}: gt of {task!r:.40} is {shown(label)}; expected a class"
            )
    scores = {}
    for task, values in row["score"].items():
        numbers = isinstance(values, list) and all(
            type(value) in (int, float) for value in values
        )
        if not numbers or not values:
            raise InputError(
                f"{where}: score of {task!r:.40} is {shown(values)}; expected a list"
                " of numbers"
            )
        scores[task] = np.array(values, np.float64)
    return {**row, "score": scores}


def _checked(rows: Sequence[Mapping[str, Any]], metainfo: Any) -> Predictions:
    if not isinstance(metainfo, dict):
        raise InputError(f"metainfo is {shown(metainfo)}; expected an object")
    with np.errstate(over="ignore"):  # then infinite, and refused here
        found = from_rows(rows, metainfo)
    for task, score in found.score.items():
        sound = np.isfinite(score).all(axis=1)
        if not sound.all():
            name = found.ids[int(sound.argmin())]
            raise InputError(
                f"the score of {task!r} of {name!r:.80} is not finite; expected numbers"
                " of 32 bits"
            )
    for task, labels in found.gt.items():
        if labels.min(initial=0) < NO_LABEL:
            name = found.ids[int(labels.argmin())]
            raise InputError(
                f"gt of {task!r:.40} of {name!r:.80} is {labels.min()}; expected a"
                " class from 0 on"
            )
    return found


def _read_npz(path: str | os.PathLike) -> Predictions:
    arrays = read_npz(str(path), max_bytes=_MAX_BYTES, error=_unreadable)
    lacking = [key for key in ("id", "metainfo") if key not in arrays]
    if lacking:
        raise InputError(f"it lacks {lacking}; it holds {shown(sorted(arrays))}")
    names, head = arrays["id"], arrays["metainfo"]
    if names.ndim != 1 or names.dtype.kind != "U" or head.dtype.kind != "U":
        raise InputError(
            f"id is {names.dtype} {names.shape} and metainfo {head.dtype}; expected"
            " text, one id for each clip"
        )
    gt, score = _by_task(arrays, _GT), _by_task(arrays, _SCORE)
    for prefix, tables, kinds, ndim in ((_GT, gt, "iu", 1), (_SCORE, score, "fiu", 2)):
        for task, array in tables.items():
            fits = array.ndim == ndim and len(array) == len(names)
            if not fits or array.dtype.kind not in kinds:
                raise InputError(
                    f"{prefix}{task} is {array.dtype} {array.shape}; expected numbers,"
                    f" a row for each of {len(names)} ids"
                )
    rows = [
        {
            "id": str(name),
            "gt": {task: int(labels[i]) for task, labels in gt.items()},
            "score": {task: scores[i] for task, scores in score.items()},
        }
        for i, name in enumerate(names)
    ]
    return _checked(rows, parse_json(str(head).encode(), "metainfo"))
