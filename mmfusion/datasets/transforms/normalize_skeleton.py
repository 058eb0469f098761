"""Origin and size of a skeleton."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.layouts.hand_layouts import get_layout
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError

MODES = ("none", "wrist", "first_wrist", "bone")


@TRANSFORMS.register_module()
class NormalizeSkeleton(BaseTransform):
    """Move and scale the joints of each view; unseen joints become 0.

    Args:
        mode: ``none`` leaves the origin; ``wrist`` puts each hand's own wrist there in
            every frame (shape only); ``first_wrist`` takes the wrist of the first frame
            with a hand, the mean of both where both are seen, and so keeps the motion
            of the hands and their distance; ``bone`` is ``first_wrist`` divided by the
            median bone length, which removes the size of person and unit.
        scale: factor applied last, e.g. 0.001 from millimetres, or 10 to bring metres
            to the order of one.
        wrist: index of the wrist joint; None takes it from the annotation's layout.
        fill: ``zero`` sets unseen joints to 0, ``hold`` keeps their last seen place
            (0 where a joint is not seen in the whole view).

    Modified keys: joints.
    """

    def __init__(
        self,
        mode: str = "first_wrist",
        scale: float = 1.0,
        wrist: int | None = None,
        fill: str = "zero",
    ) -> None:
        if mode not in MODES:
            raise InputError(f"mode: got {mode!r}; expected one of {MODES}")
        if fill not in ("zero", "hold"):
            raise InputError(f"fill: got {fill!r}; expected 'zero' or 'hold'")
        if not 0 < scale < np.inf:
            raise InputError(f"scale: got {scale}; expected a positive number")
        self.mode = mode
        self.scale = scale
        self.wrist = wrist
        self.fill = fill

    def transform(self, results: dict) -> dict:
        if "joints" not in results:
            return results
        layout = results.get("joints_layout")
        views = zip(results["joints"], results["joints_mask"], strict=True)
        done = [self._normalize(joints, mask, layout) for joints, mask in views]
        results["joints"] = np.stack(done).astype(np.float32)  # (v, n, h, j, 3)
        return results

    def _normalize(
        self, joints: np.ndarray, mask: np.ndarray, layout: str | None
    ) -> np.ndarray:
        """One view: joints (n, h, j, 3), mask (n, h, j)."""
        if self.mode != "none":
            wrist = self._wrist(layout, joints.shape[2])
            if self.mode == "wrist":
                joints = joints - joints[:, :, wrist : wrist + 1]
            else:
                joints = joints - _first_wrist(joints, mask, wrist)
            if self.mode == "bone":
                joints = joints / _bone_length(joints, mask, layout)
        keep = mask if self.fill == "zero" else np.any(mask, axis=0, keepdims=True)
        return np.where(keep[..., None], np.multiply(joints, self.scale), 0)

    def _wrist(self, layout: str | None, num_joints: int) -> int:
        wrist = self.wrist
        if wrist is None:
            if layout is None:
                raise InputError(
                    "wrist: got None, and the annotation names no layout; mode"
                    f" {self.mode!r} expects one of them"
                )
            wrist = get_layout(layout).wrist
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


def _bone_length(joints: np.ndarray, mask: np.ndarray, layout: str | None) -> float:
    """Median length over the seen bones of a view; 1 where none is seen."""
    if layout is None:
        raise InputError("layout: the annotation names none; mode 'bone' expects one")
    parent, child = np.asarray(get_layout(layout).bones).T
    seen = mask[:, :, parent] & mask[:, :, child]  # (n, h, bones)
    length = np.linalg.norm(joints[:, :, child] - joints[:, :, parent], axis=-1)
    median = float(np.median(length[seen])) if seen.any() else 0.0
    return median if median > 0 else 1.0
