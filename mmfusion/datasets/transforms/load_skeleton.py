"""Joints of a clip, from the skeleton file of its sequence."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.caches.skeleton_cache import load_skeleton_file
from mmfusion.datasets.transforms.sample_times import mark_absent, times_of
from mmfusion.layouts.skeleton_arrays import SkeletonFile, SkeletonKind, check_skeleton
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError, SkeletonError

MAX_GAP_SECONDS = 0.5  # joints of a moment further away are not this moment's
SAME_FPS = 5e-3  # share; 29.97 is 30
_TIE = 1e-4  # frames; keeps rounding from choosing the frame before


@TRANSFORMS.register_module()
class LoadSkeleton(BaseTransform):
    """Take the joints nearest to ``times['skeleton']``.

    A hand that is not seen keeps the place where it was seen last in the clip, before
    its first sight that of the first one, and is marked as not valid; one that is never
    seen in the clip is 0.

    Args:
        optional: a sample without skeleton gets zeros, none valid, instead of an error.
        hands: names of the hands that the model reads, in its order, where the data
            have fewer: those that lack are never seen. None reads the data's own.
        interpolate: between two frames that both see a joint take the place on the line
            between them, which keeps its motion smooth; else that of the nearest frame.

    Required keys: times, skeleton_path or skeleton_data, ann_meta (its ``skeleton``
    says layout, hands, unit and frame), group, index_fps, start_sec, end_sec. Added
    keys: joints (v, n, h, j, 3) float32, joints_mask (v, n, h, j) bool, True where
    seen, joints_frame (``image`` for fractions of the picture, ``pixels``, ``camera``,
    ``world``...), joints_layout (a JointLayout or None), joints_dims (2 or 3),
    joints_hands, num_hands (h).
    """

    def __init__(
        self,
        optional: bool = False,
        hands: Sequence[str] | None = None,
        interpolate: bool = False,
    ) -> None:
        if hands is not None and (isinstance(hands, str) or len(set(hands)) < 1):
            raise InputError(f"hands: got {hands!r}; expected a list of names")
        self.optional = optional
        self.interpolate = interpolate
        self.hands = None if hands is None else tuple(hands)
        self._meta: dict | None = None
        self._kind = SkeletonKind.of(None)

    def transform(self, results: dict) -> dict:
        times = times_of(results, "skeleton")
        shape = times.shape  # (v, n)
        kind = self._kind_of(results.get("ann_meta") or {})
        data = self._load(results, kind)
        if data is None:
            shape += self._shape_of(kind, results)  # (v, n, h, j)
            joints, mask = np.zeros((*shape, 3), np.float32), np.zeros(shape, bool)
        else:
            fps = float(results.get("index_fps") or data.fps or 30.0)
            joints, mask = take_joints(
                data,
                times.reshape(-1) * fps,
                _clip_rows(data, results, fps),
                max_gap=MAX_GAP_SECONDS * fps,
                interpolate=self.interpolate,
            )
            joints = joints.reshape(*shape, *joints.shape[1:])
            mask = mask.reshape(joints.shape[:-1])
        if self.hands is not None:
            joints, mask = _place_hands(joints, mask, kind.hands, self.hands)
        mask = mark_absent(mask, results, "skeleton")
        results["joints"], results["joints_mask"] = joints, mask
        results["joints_frame"] = kind.place
        results["joints_layout"] = kind.order
        results["joints_dims"] = kind.dims
        results["joints_hands"] = list(self.hands or kind.hands or ())
        results["num_hands"] = joints.shape[2]
        return results

    def _kind_of(self, meta: dict) -> SkeletonKind:
        """The kind that a metainfo describes; all samples of a dataset have one."""
        if meta is not self._meta:
            self._meta, self._kind = meta, SkeletonKind.of(meta.get("skeleton"))
        return self._kind

    def _load(self, results: dict, kind: SkeletonKind) -> SkeletonFile | None:
        data = results.get("skeleton_data")
        if data is not None:
            name = f"sample {results.get('sample_id')!r}, in memory"
            if not isinstance(data, SkeletonFile):  # else it was checked before
                data = check_skeleton(name, data, kind)
        elif results.get("skeleton_path"):
            name = results["skeleton_path"]
            data = load_skeleton_file(name, kind)
        else:
            return None
        group = results.get("group")
        if data.sequence is not None and group is not None and data.sequence != group:
            reason = f"it belongs to sequence {data.sequence!r}; expected {group!r}"
            raise SkeletonError(name, reason)
        rate = results.get("index_fps")
        if rate and data.fps and abs(data.fps - rate) > SAME_FPS * rate:
            reason = (
                f"it has {data.fps:g} frame numbers a second and the record's index_fps"
                f" is {rate:g}; expected the same, else joints are of other moments"
            )
            raise SkeletonError(name, reason)
        return data

    def _shape_of(self, kind: SkeletonKind, results: dict) -> tuple[int, int]:
        """(h, j) of a sample that has no skeleton."""
        if not self.optional:
            raise InputError(
                f"sample {results.get('sample_id')!r} has no skeleton; expected one:"
                " drop such samples by the dataset's require=['skeleton'], or set"
                " optional=True"
            )
        if kind.hands is None or kind.num_joints is None:
            raise InputError(
                "ann_meta: metainfo.skeleton must name hands and a known layout (or"
                " joints, or num_joints) for samples without a skeleton; got hands"
                f" {kind.hands} and layout {kind.layout!r}"
            )
        return len(kind.hands), kind.num_joints


def _place_hands(
    joints: np.ndarray,
    mask: np.ndarray,
    names: tuple[str, ...] | None,
    wanted: tuple[str, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Joints (v, n, h, j, 3) and mask of the hands ``wanted``, those not there unseen.

    Raises:
        InputError: the data do not name their hands, or have one that is not wanted.
    """
    if names is None or not set(names) <= set(wanted):
        raise InputError(
            f"hands: got {list(wanted)}; metainfo.skeleton names {names}: expected all"
            " of these among them"
        )
    views, num, _, per_hand = mask.shape
    placed = np.zeros((views, num, len(wanted), per_hand, 3), np.float32)
    seen = np.zeros(placed.shape[:-1], bool)
    columns = [wanted.index(name) for name in names]
    placed[:, :, columns], seen[:, :, columns] = joints, mask
    return placed, seen


def take_joints(
    data: SkeletonFile,
    position: np.ndarray,
    rows: np.ndarray,
    max_gap: float,
    interpolate: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Joints at ``position``, unseen ones held.

    Args:
        position: (n,) times in frame numbers; frame f covers [f, f + 1).
        rows: (m,) the rows of ``data`` that belong to the clip, ascending; without any
            nothing is valid.
        max_gap: a row further away than this is not valid.
        interpolate: as in :class:`LoadSkeleton`.

    Returns:
        joints (n, h, j, 3) and mask (n, h, j).
    """
    if not len(rows):
        joints = np.zeros((len(position), *data.keypoint.shape[1:]), np.float32)
        return joints, np.zeros(joints.shape[:-1], bool)
    ids = data.frame_id[rows]
    wanted = position - 0.5 + _TIE  # the frame whose middle is nearest covers the time
    upper = np.clip(np.searchsorted(ids, wanted), 0, len(ids) - 1)
    lower = np.maximum(upper - 1, 0)
    nearer_lower = np.abs(wanted - ids[lower]) < np.abs(wanted - ids[upper])
    nearest = np.where(nearer_lower, lower, upper)  # (n,)
    seen = data.valid[rows]  # (m, h[, j])
    clip = data.keypoint[rows]  # (m, h, j, 3)
    limit = max(max_gap, 1.0)
    by_moment = (-1, *[1] * (seen.ndim - 1))  # (n,) beside (n, h[, j])
    near = np.abs(wanted - ids[nearest]) <= limit
    valid = seen[nearest] & near.reshape(by_moment)
    if seen.ndim == 2:
        places: tuple[np.ndarray, ...] = (np.arange(clip.shape[1]),)
    else:
        places = (np.arange(clip.shape[1])[:, None], np.arange(clip.shape[2]))
    joints = clip[(_last_seen(seen)[nearest], *places)].copy()  # (n, h, j, 3)
    if interpolate:
        gap = np.maximum(ids[upper] - ids[lower], 1)
        share = np.clip((wanted - ids[lower]) / gap, 0, 1).astype(np.float32)
        both = seen[lower] & seen[upper] & (gap <= limit).reshape(by_moment)
        share = share.reshape(-1, 1, 1, 1)
        between = clip[lower] + share * (clip[upper] - clip[lower])
        both = both.reshape(*both.shape, *[1] * (clip.ndim - both.ndim))
        joints = np.where(both, between, joints)
    if valid.ndim == 2:
        valid = np.repeat(valid[..., None], clip.shape[2], axis=2)  # (n, h, j)
    return joints, valid


def _last_seen(seen: np.ndarray) -> np.ndarray:
    """(m, ...): for each row the last row so far where seen, else the first one."""
    rows = np.arange(len(seen)).reshape(-1, *[1] * (seen.ndim - 1))
    last = np.maximum.accumulate(np.where(seen, rows, -1), axis=0)
    return np.where(last < 0, seen.argmax(axis=0), last)


def _clip_rows(data: SkeletonFile, results: dict, fps: float) -> np.ndarray:
    """Rows of the clip's frames, (m,); the nearest row where none lies within.

    Before an action (tau_a is set) there are none then: the nearest may be a later one.
    """
    start, end = results.get("start_sec"), results.get("end_sec")
    low = -np.inf if start is None else start * fps - 0.5
    high = np.inf if end is None else end * fps - 0.5
    rows = np.flatnonzero((data.frame_id >= low) & (data.frame_id < high))
    if len(rows) or results.get("tau_a") is not None:
        return rows
    middle = (max(low, data.frame_id[0]) + min(high, data.frame_id[-1])) / 2
    gaps = np.abs(data.frame_id - middle)
    row = int(gaps.argmin())
    outside = max(low - data.frame_id[row], data.frame_id[row] - high)
    if outside > max(MAX_GAP_SECONDS * fps, 1.0):
        name = results.get("skeleton_path") or f"sample {results.get('sample_id')!r}"
        reason = (
            f"it holds frames {data.frame_id[0]} to {data.frame_id[-1]}; the clip asks"
            f" for {start} to {end} s at {fps} frames per second"
        )
        raise SkeletonError(name, reason)
    return np.array([row])
