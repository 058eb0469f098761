"""Times at a fixed rate, as a camera gives them."""

import math
from collections.abc import Mapping

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.clip_extent import clip_span, known_duration
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError

_EPS = 1e-6  # seconds by which a tick may lie before the clip's start


@TRANSFORMS.register_module()
class SampleClock(BaseTransform):
    """Choose every tick of each stream's own clock within the clip.

    Tick k of a stream of rate r is at k / r seconds of the source, whatever clip it is
    in: a frame that has been seen by then. A window of a video has the very ticks that
    the whole video has there. A clip of s seconds has round(s r) ticks, at least one.

    Args:
        rates: ticks a second by stream, as ``dict(video=8, skeleton=30)``.
        shift: for training: seconds by which the clip is moved to either side at most,
            a whole number of ticks of the slowest stream, within its source.

    Required keys: start_sec, end_sec (None: to the end of the source). Modified keys:
    start_sec, end_sec, of the moved clip. Added keys: times, a dict of float64 seconds
    (1, n) by stream.

    Example:
        >>> SampleClock(dict(video=2))(dict(start_sec=1.0, end_sec=3.0))["times"]
        {'video': array([[1. , 1.5, 2. , 2.5]])}
    """

    def __init__(self, rates: Mapping[str, float], shift: float = 0.0) -> None:
        if not rates or not all(0 < rate < math.inf for rate in rates.values()):
            raise InputError(
                f"rates: got {dict(rates)}; expected ticks a second above 0 by stream"
            )
        if not 0 <= shift < math.inf:
            raise InputError(f"shift: got {shift}; expected seconds from 0")
        self.rates = dict(rates)
        self.shift = shift

    def transform(self, results: dict) -> dict:
        start, end = clip_span(results, self.rates)
        length = end - start
        slowest = min(self.rates.values())
        if self.shift:
            start = self._moved(start, length, results)
        first = math.ceil((start - _EPS) * slowest) / slowest
        results["times"] = {
            stream: self._ticks(first, length, rate)[None]  # (1, n)
            for stream, rate in self.rates.items()
        }
        results["start_sec"], results["end_sec"] = start, start + length
        return results

    def _moved(self, start: float, length: float, results: dict) -> float:
        whole = known_duration(results)
        last = start if whole is None else max(0.0, whole - length)
        moved = start + np.random.uniform(-self.shift, self.shift)
        return float(np.clip(moved, 0.0, last))

    @staticmethod
    def _ticks(first: float, length: float, rate: float) -> np.ndarray:
        """(n,) seconds; the first is the stream's own tick at or after ``first``."""
        count = max(1, round(length * rate))
        return (math.ceil((first - _EPS) * rate) + np.arange(count)) / rate
