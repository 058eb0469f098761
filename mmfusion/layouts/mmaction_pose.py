"""MMAction2's pose annotations: a pickle, read without running anything in it."""

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from mmfusion.layouts.frame_arrays import as_fps, as_integers, as_numbers
from mmfusion.layouts.skeleton_arrays import found_hands
from mmfusion.utils.errors import AnnotationError, InputError, SkeletonError
from mmfusion.utils.safe_pickle import UnsafePickleError, safe_load
from mmfusion.utils.schema import shown


def _load(path: str) -> Any:
    try:
        return safe_load(path)
    except (UnsafePickleError, OSError) as error:
        raise AnnotationError(f"pose annotation {path!r}: {error}") from None


def read_pose(
    path: str,
    *,
    split: str | None = None,
    skeleton_prefix: str | None = None,
    index_fps: float = 30.0,
    max_persons: int = 2,
) -> list[dict]:
    """PoseDataset: ``{"split": {name: [ids]}, "annotations": [...]}`` or the list only.

    Args:
        split: keep the annotations that this split names; None keeps all.
        skeleton_prefix: folder under data_root with ``<id>.pkl`` for each clip, where
            the annotations hold no key points (MMAction2's ``data_prefix.skeleton``).
        index_fps: frames per second; the file does not say.
        max_persons: persons of a clip, m: the first ones are kept, and zeros that are
            not valid stand for those that lack. Where the key points are one list over
            all frames, those with the best box score come first.
    """
    index_fps = as_fps(index_fps)
    if not _is_integer(max_persons) or max_persons < 1:
        raise InputError(f"max_persons is {max_persons!r:.80}; expected 1 or more")
    content = _load(path)
    entries = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(entries, list) or not entries:
        raise AnnotationError(
            f"{path} holds {type(content).__name__} without a list of annotations;"
            " expected {'split': {name: [ids]}, 'annotations': [...]}, or the list"
        )
    wanted = None
    if split is not None:
        splits = content.get("split") if isinstance(content, dict) else None
        splits = splits if isinstance(splits, dict) else {}
        if split not in splits:
            raise AnnotationError(
                f"split is {split!r}; expected one of"
                f" {shown(sorted(map(str, splits)))}, those of {path}"
            )
        names = splits[split]
        if not isinstance(names, (list, tuple)) or not all(
            isinstance(name, str) for name in names
        ):
            raise AnnotationError(
                f"{path}: the split {split!r} is {shown(names)}; expected a list of the"
                " clips' ids"
            )
        wanted = set(names)
    records = []
    for number, entry in enumerate(entries):
        where = f"{path}: annotation {number}"
        if not isinstance(entry, dict):
            raise AnnotationError(f"{where} is a {type(entry).__name__}; expected dict")
        key = "filename" if "filename" in entry else "frame_dir"
        name = entry.get(key)
        if not isinstance(name, str):
            raise AnnotationError(
                f"{where}: {key} is {name!r:.80}; expected the clip's id, a string"
            )
        if wanted is None or name in wanted:
            where = f"{where} ({name!r})"
            record = _record(entry, name, where, skeleton_prefix, index_fps)
            if skeleton_prefix is None:
                record["skeleton_data"] = pose_arrays(
                    entry, name, where, fps=index_fps, max_persons=max_persons
                )
            record["place"] = f"annotation {number}"
            records.append(record)
    return records


def _record(
    entry: Mapping, name: str, where: str, prefix: str | None, fps: float
) -> dict:
    label, total = entry.get("label"), entry.get("total_frames")
    if label is not None and not _is_integer(label):
        raise AnnotationError(
            f"{where}: label is {label!r:.80}; expected an integer. Several labels for"
            " a clip are not supported"
        )
    if not _is_integer(total) or total < 1:
        raise AnnotationError(
            f"{where}: total_frames is {total!r:.80}; expected an integer >= 1"
        )
    return {
        "id": name,
        "group": name,
        "skeleton": {"file": f"{prefix}/{name}.pkl" if prefix is not None else None},
        "total_frames": int(total),
        "start_frame": 0,
        "end_frame": int(total) - 1,
        "start_sec": 0.0,
        "end_sec": int(total) / fps,
        "index_fps": float(fps),
        "label": None if label is None else int(label),
    }


def _is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def load_pose_file(path: str, record: Mapping, *, max_persons: int) -> dict:
    """Key points of one clip from its own pickle, as ``skeleton_data``.

    Raises:
        SkeletonError: the file is missing, damaged, refused, or holds no fitting key
            points.
    """
    try:
        entry = safe_load(path)
        if not isinstance(entry, dict):
            raise AnnotationError(f"it holds a {type(entry).__name__}; expected dict")
        return pose_arrays(
            {**entry, "total_frames": record["total_frames"]},
            record["group"],
            repr(path),
            fps=record["index_fps"],
            max_persons=max_persons,
        )
    except FileNotFoundError:
        raise SkeletonError(path, "the file does not exist") from None
    except (UnsafePickleError, AnnotationError, OSError) as error:
        raise SkeletonError(path, str(error)) from None


def pose_arrays(
    entry: Mapping, name: str, where: str, *, fps: float, max_persons: int
) -> dict:
    """``skeleton_data`` of one annotation; see ``mmaction.py``.

    Args:
        entry: keypoint (m, t, j, c) and perhaps keypoint_score (m, t, j); or, one list
            over all frames, keypoint (n, j, c) with frame_inds (n,) and perhaps
            keypoint_score (n, j) and box_score (n,).
        name: the clip's id. where: name of the entry, for errors.
        fps, max_persons: see :func:`read_pose`.
    """
    if "keypoint" not in entry:
        raise AnnotationError(
            f"{where} has no 'keypoint', only {sorted(map(str, entry))}; where each"
            " clip's key points are in a file of their own, name their folder in"
            " ann_options.skeleton_prefix"
        )
    keypoint = _floats(entry["keypoint"], f"{where}: keypoint")
    score = entry.get("keypoint_score")
    if score is not None:
        score = _floats(score, f"{where}: keypoint_score")
        if score.shape != keypoint.shape[:-1]:
            raise AnnotationError(
                f"{where}: keypoint_score is {score.shape}; expected"
                f" {keypoint.shape[:-1]}, as keypoint is {keypoint.shape}"
            )
    frame_id = None
    if keypoint.ndim == 3 and "frame_inds" in entry:
        keypoint, score, frame_id = _by_frame(
            keypoint, score, entry, where, max_persons
        )
    if keypoint.ndim != 4 or keypoint.shape[-1] not in (2, 3) or not keypoint.size:
        raise AnnotationError(
            f"{where}: keypoint is {keypoint.shape}; expected (persons, frames, joints,"
            " 2 or 3), none of them 0"
        )
    if frame_id is None:
        total, frame_id = entry.get("total_frames"), np.arange(keypoint.shape[1])
        if len(frame_id) != total:
            raise AnnotationError(
                f"{where}: total_frames is {total!r:.80} but keypoint has"
                f" {len(frame_id)} frames; expected the same"
            )
    keypoint = _pad_persons(keypoint, max_persons).transpose(1, 0, 2, 3)  # (t, m, j, c)
    valid = np.isfinite(keypoint).all(3) & found_hands(keypoint)[..., None]  # (t, m, j)
    if score is not None:  # a NaN is not above 0
        valid &= _pad_persons(score, max_persons).transpose(1, 0, 2) > 0
    planar = ((0, 0), (0, 0), (0, 0), (0, 3 - keypoint.shape[-1]))
    return {
        "keypoint": np.pad(np.where(valid[..., None], keypoint, 0), planar),
        "valid": valid,
        "frame_id": frame_id.astype(np.int64),
        "fps": float(fps),
        "sequence": name,
    }


def _pad_persons(values: np.ndarray, count: int) -> np.ndarray:
    """(m, ...) to (count, ...): the first persons, and zeros for those that lack."""
    values = values[:count]
    lacking = [(0, count - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, lacking)


def _floats(value: Any, where: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # then infinite, and not valid
            return as_numbers(value, where).astype(np.float32)
    except InputError as error:
        raise AnnotationError(str(error)) from None


def _by_frame(
    keypoint: np.ndarray,
    score: np.ndarray | None,
    entry: Mapping,
    where: str,
    max_persons: int,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Sort a list of detections into frames: (n, j, c) to (m, t, j, c).

    The best boxes of a frame come first; frames without a detection are left out, as
    the reader of a skeleton takes the nearest frame there is.
    """
    count = len(keypoint)
    try:
        frames = as_integers(entry["frame_inds"], f"{where}: frame_inds", count)
    except InputError as error:
        raise AnnotationError(f"{error}, one for each detection in keypoint") from None
    if not count or frames.max() >= entry["total_frames"]:
        raise AnnotationError(
            f"{where}: frame_inds has {count} detections, the last of frame"
            f" {frames.max(initial=-1)}; expected one at least, and frames below"
            f" total_frames, {entry['total_frames']}"
        )
    ranking = _floats(entry.get("box_score", np.ones(count)), f"{where}: box_score")
    if ranking.shape != (count,):
        raise AnnotationError(
            f"{where}: box_score is {ranking.shape}; expected ({count},)"
        )
    frame_id, slot = np.unique(frames, return_inverse=True)
    order = np.lexsort((-ranking, slot))  # by frame, the best first
    first = np.searchsorted(slot[order], np.arange(len(frame_id)))
    person = np.arange(count) - first[slot[order]]
    kept = person < max_persons
    order, person = order[kept], person[kept]
    shape = (max_persons, len(frame_id))
    placed = np.zeros((*shape, *keypoint.shape[1:]), dtype=np.float32)
    placed[person, slot[order]] = keypoint[order]
    placed_score = None
    if score is not None:
        placed_score = np.zeros((*shape, keypoint.shape[1]), dtype=np.float32)
        placed_score[person, slot[order]] = score[order]
    return placed, placed_score, frame_id
