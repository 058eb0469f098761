"""Origin and size of a skeleton."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.layouts.hand_layouts import JointLayout, get_layout
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError, check_choice

MODES = ("none", "wrist", "first_wrist", "bone", "size", "first_size")
ORIGINS = ("first", "middle")


@TRANSFORMS.register_module()
class NormalizeSkeleton(BaseTransform):
    """Move and scale the joints of each view; unseen joints become 0.

    Args:
        mode: ``none`` leaves the origin; ``wrist`` puts each hand's own wrist there in
            every frame: the shape stays, and the path of the hand is lost, with it
            every gesture that is drawn or swept; ``first_wrist`` takes the wrist of the
            first frame with a hand, the mean of both where both are seen, and so keeps
            the motion of the hands and their distance; ``bone`` is ``first_wrist``
            divided by the median bone length, which removes the size of person and
            unit; ``size`` is ``first_wrist`` divided by the skeleton's own size (the
            median over hands and frames of the root mean square distance of its seen
            joints from their middle), for any layout, body or unit; where there is no
            wrist, or none is seen in the view, the middle of the joints first seen is
            the origin; ``first_size`` takes both from the frame of the first sight
            alone, as a camera must, which knows no later frame.
        scale: factor applied last, e.g. 0.001 from millimetres, or 10 to bring metres
            to the order of one.
        origin: of mode ``size``: ``first``, as above, or ``middle``, the mean of all
            seen joints of the view: it does not hang on where in the motion the view
            begins.
        wrist: index of the wrist, or of another skeleton's root joint; None takes it
            from the annotation's layout.
        fill: ``zero`` sets unseen joints to 0, ``hold`` keeps their last seen place
            (0 where a joint is not seen in the whole view).

    Modified keys: joints. Mode ``first_size`` adds skeleton_reference (v, 4), the
    origin and the size, NaN where nothing is seen; of one that is there, rows that are
    not NaN are used.
    """

    def __init__(
        self,
        mode: str = "first_wrist",
        scale: float = 1.0,
        wrist: int | None = None,
        fill: str = "zero",
        origin: str = "first",
    ) -> None:
        if mode not in MODES:
            raise InputError(f"mode: got {mode!r}; expected one of {MODES}")
        check_choice("origin", origin, ORIGINS)
        if origin != "first" and mode != "size":
            raise InputError(f"origin={origin!r} is for mode='size'; got {mode!r}")
        if fill not in ("zero", "hold"):
            raise InputError(f"fill: got {fill!r}; expected 'zero' or 'hold'")
        if not 0 < scale < np.inf:
            raise InputError(f"scale: got {scale}; expected a positive number")
        self.mode = mode
        self.scale = scale
        self.wrist = wrist
        self.fill = fill
        self.origin = origin

    def transform(self, results: dict) -> dict:
        if "joints" not in results:
            return results
        layout = results.get("joints_layout")
        layout = None if layout is None else get_layout(layout)
        views = [*zip(results["joints"], results["joints_mask"], strict=True)]
        if self.mode == "first_size":
            views = self._first_size(views, results, layout)
        done = [self._normalize(joints, mask, layout) for joints, mask in views]
        results["joints"] = np.stack(done).astype(np.float32)  # (v, n, h, j, 3)
        return results

    def _normalize(
        self, joints: np.ndarray, mask: np.ndarray, layout: JointLayout | None
    ) -> np.ndarray:
        """One view: joints (n, h, j, 3), mask (n, h, j)."""
        if self.mode == "size":
            if self.origin == "middle":
                joints = _own_size(joints, mask, joints[mask])
            else:
                root = layout.wrist if self.wrist is None and layout else self.wrist
                joints = _own_size(joints, mask, _first_joints(joints, mask, root))
        elif self.mode not in ("none", "first_size"):
            wrist = self._wrist(layout, joints.shape[2])
            if self.mode == "wrist":
                joints = joints - joints[:, :, wrist : wrist + 1]
            else:
                joints = joints - _first_wrist(joints, mask, wrist)
            if self.mode == "bone":
                joints = joints / _bone_length(joints, mask, layout)
        keep = mask if self.fill == "zero" else np.any(mask, axis=0, keepdims=True)
        return np.where(keep[..., None], np.multiply(joints, self.scale), 0)

    def _first_size(
        self,
        views: list[tuple[np.ndarray, np.ndarray]],
        results: dict,
        layout: JointLayout | None,
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Views in the origin and the size of their first sight, or of an earlier."""
        root = layout.wrist if self.wrist is None and layout else self.wrist
        known = results.get("skeleton_reference")
        known = np.full((len(views), 4), np.nan) if known is None else known.copy()
        for row, (joints, mask) in enumerate(views):
            if np.isnan(known[row]).any() and mask.any():
                known[row] = _first_sight(joints, mask, root)
        results["skeleton_reference"] = known
        return [
            (
                (joints - where[:3]) / where[3] if np.isfinite(where).all() else joints,
                mask,
            )
            for (joints, mask), where in zip(views, known, strict=True)
        ]

    def _wrist(self, layout: JointLayout | None, num_joints: int) -> int:
        wrist = self.wrist
        if wrist is None:
            if layout is None:
                raise InputError(
                    "wrist: got None, and the annotation names no layout; mode"
                    f" {self.mode!r} expects one of them"
                )
            wrist = layout.wrist
            if wrist is None:
                raise InputError(
                    f"wrist: got None, and metainfo.skeleton (layout {layout.name!r})"
                    f" names no root joint; mode {self.mode!r} expects one of them"
                )
        if not 0 <= wrist < num_joints:
            raise InputError(f"wrist: got {wrist}; expected 0 to {num_joints - 1}")
        return wrist


def _first_wrist(joints: np.ndarray, mask: np.ndarray, wrist: int) -> np.ndarray:
    """(3,): mean of the wrists seen in the first frame that has one, else 0."""
    seen = mask[:, :, wrist]  # (n, h)
    if not seen.any():
        return np.zeros(3, joints.dtype)
    frame = int(seen.any(axis=1).argmax())
    return joints[frame, seen[frame], wrist].mean(axis=0)


def _bone_length(
    joints: np.ndarray, mask: np.ndarray, layout: JointLayout | None
) -> float:
    """Median length over the seen bones of a view; 1 where none is seen."""
    if layout is None:
        raise InputError("layout: the annotation names none; mode 'bone' expects one")
    if not layout.bones:
        raise InputError(
            f"bones: metainfo.skeleton (layout {layout.name!r}) lists none; mode 'bone'"
            " expects some; mode 'size' needs none"
        )
    parent, child = np.asarray(layout.bones).T
    seen = mask[:, :, parent] & mask[:, :, child]  # (n, h, bones)
    length = np.linalg.norm(joints[:, :, child] - joints[:, :, parent], axis=-1)
    median = float(np.median(length[seen])) if seen.any() else 0.0
    return median if median > 0 else 1.0


def _first_joints(joints: np.ndarray, mask: np.ndarray, root: int | None) -> np.ndarray:
    """(k, 3): the roots seen in the first frame that has one, else the joints seen."""
    if root is not None and mask[:, :, root].any():
        return _first_wrist(joints, mask, root)[None]
    first = int(mask.any(axis=(1, 2)).argmax())
    return joints[first][mask[first]]


def _own_size(joints: np.ndarray, mask: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Joints from the middle of ``origins`` (k, 3), in units of their own size."""
    if not mask.any():
        return joints
    moved = joints - origins.mean(axis=0)
    return moved / _size(moved, mask)


def _first_sight(joints: np.ndarray, mask: np.ndarray, root: int | None) -> np.ndarray:
    """(4,): the first seen root (or middle), and the size in that frame."""
    first = int(mask.any(axis=(1, 2)).argmax())
    joints, mask = joints[first : first + 1], mask[first : first + 1]
    if root is not None and mask[:, :, root].any():
        origin = _first_wrist(joints, mask, root)
    else:
        origin = joints[mask].mean(axis=0)
    return np.array([*origin, _size(joints, mask)], np.float64)


def _size(joints: np.ndarray, mask: np.ndarray) -> float:
    """Size of the skeletons of a view; 1 where none has two seen joints apart."""
    weight = mask[..., None]  # (n, h, j, 1)
    seen = np.where(weight, joints, 0).astype(np.float64)
    count = mask.sum(axis=2)  # (n, h)
    middle = seen.sum(axis=2) / np.maximum(count, 1)[..., None]  # (n, h, 3)
    square = np.where(weight, seen - middle[:, :, None], 0) ** 2
    spread = np.sqrt(square.sum(axis=(2, 3)) / np.maximum(count, 1))  # (n, h)
    sizes = spread[(count > 1) & (spread > 0)]
    return float(np.median(sizes)) if len(sizes) else 1.0
