"""Figures about landmarks that a person can check: ranges, sides, lengths."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mmfusion.layouts.landmarks import Landmarks

_LENGTHS = 0.05  # of a video; landmarks that end further from its end are told


class LandmarkTally:
    """Figures over many files of landmarks."""

    def __init__(self) -> None:
        self.masks: list[np.ndarray] = []
        self._kinds: Counter[str] = Counter()
        self._low = np.full(3, np.inf)
        self._high = np.full(3, -np.inf)
        self._both = self._in_order = 0
        self._rates: Counter[str] = Counter()
        self._other_length: list[str] = []
        self._with_video = 0

    @property
    def sees_any(self) -> bool:
        """Tell whether any joint is seen in any frame."""
        return bool(np.isfinite(self._low).all())

    def add(self, found: Landmarks, fps: float) -> None:
        """Count a file, whose frame numbers go by ``fps`` to a second."""
        seen = found.valid if found.valid.ndim == 3 else found.valid[..., None]
        seen = np.broadcast_to(seen, found.keypoint.shape[:3])  # (t, m, j)
        self.masks.append(found.valid)
        self._kinds[found.kind] += 1
        self._rates[f"{fps:.4g}"] += 1
        joints = found.keypoint[seen]  # (n, 3)
        if len(joints):
            self._low = np.minimum(self._low, joints.min(axis=0))
            self._high = np.maximum(self._high, joints.max(axis=0))
        if found.skeleton["hands"] == ["left", "right"]:
            self._count_sides(found.keypoint[..., 0], seen)

    def _count_sides(self, x: np.ndarray, seen: np.ndarray) -> None:
        """Frames in which both hands are seen, and the left one lies to the left."""
        count = seen.sum(axis=-1)  # (t, 2)
        both = count.min(axis=1) > 0
        if both.any():
            middle = (x * seen).sum(axis=-1)[both] / count[both]  # (n, 2)
            self._both += int(both.sum())
            self._in_order += int((middle[:, 0] < middle[:, 1]).sum())

    def compare(self, name: str, landmarks: float, video: float) -> None:
        """Note how long landmarks and their video are, in seconds."""
        self._with_video += 1
        if abs(landmarks - video) > max(_LENGTHS * video, 0.1):
            self._other_length.append(f"{name} {landmarks:.2f} of {video:.2f} s")

    def lines(self, shown: int) -> list[str]:
        """Lines for the report; of files with faults at most ``shown`` names."""
        if not self.masks:
            return []
        lines = [f"landmarks: {_counted(self._kinds)}"]
        lines.append(f"landmarks by frames a second: {_counted(self._rates)}")
        axes = zip("xyz", self._low, self._high, strict=True)
        ranges = [f"{axis} {low:.4g}..{high:.4g}" for axis, low, high in axes]
        lines.append(f"coordinates of what is seen: {', '.join(ranges)}")
        if self._both:
            share = 100 * self._in_order / self._both
            lines.append(
                f"left hand left of the right one: {share:.1f} % of {self._both} frames"
                " with both"
            )
        if self._with_video:
            other = self._other_length
            text = f"landmarks of another length than the video: {len(other)}"
            more = ", ..." if len(other) > shown else ""
            names = f" ({', '.join(other[:shown])}{more})" if other else ""
            lines.append(f"{text} of {self._with_video}{names}")
        return lines


def _counted(counts: Counter[str]) -> str:
    pairs: Sequence[tuple[str, int]] = sorted(counts.items())
    return ", ".join(f"{count} x {name}" for name, count in pairs)
