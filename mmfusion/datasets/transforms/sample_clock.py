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
    the whole video has there. A clip of s seconds has round(s r) ticks of the slowest
    stream, at least one; of a faster one as many as its rate has in so many, the first
    not after that of the slowest: tick i n // t of its n has come by tick i of t.

    Args:
        rates: ticks a second by stream, as ``dict(video=8, skeleton=30)``.
        shift: for training: seconds by which the clip is moved to either side at most,
            a whole number of ticks of the slowest stream, within its source.
        num_frames: ticks of the slowest stream that every clip gets, so that videos
            shorter than a window fit into a batch: the last frame of each stream is
            repeated, and marked as not there. None leaves a clip as long as it is.

    Required keys: start_sec, end_sec (None: to the end of the source). Modified keys:
    start_sec, end_sec, of the moved clip. Added keys: times, a dict of float64 seconds
    (1, n) by stream; with ``num_frames`` times_mask, bool (1, n) by stream, False past
    the last tick.

    Example:
        >>> SampleClock(dict(video=2))(dict(start_sec=1.0, end_sec=3.0))["times"]
        {'video': array([[1. , 1.5, 2. , 2.5]])}
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        shift: float = 0.0,
        num_frames: int | None = None,
    ) -> None:
        if not rates or not all(0 < rate < math.inf for rate in rates.values()):
            raise InputError(
                f"rates: got {dict(rates)}; expected ticks a second above 0 by stream"
            )
        if not 0 <= shift < math.inf:
            raise InputError(f"shift: got {shift}; expected seconds from 0")
        if num_frames is not None and num_frames < 1:
            raise InputError(f"num_frames: got {num_frames}; expected 1 up, or None")
        self.rates = dict(rates)
        self.shift = shift
        self.num_frames = num_frames

    def transform(self, results: dict) -> dict:
        start, end = clip_span(results, self.rates)
        length = end - start
        slowest = min(self.rates.values())
        if self.shift:
            start = self._moved(start, length, results)
        first = math.ceil((start - _EPS) * slowest) / slowest
        count = max(1, round(length * slowest))
        most = count if self.num_frames is None else self.num_frames
        if count > most:
            raise InputError(
                f"num_frames: got {most}; expected {count} or more, the ticks of"
                f" {results.get('sample_id')!r}"
            )
        results["times"] = {}
        for stream, rate in self.rates.items():
            number, total = (
                max(1, math.floor(n * rate / slowest + _EPS)) for n in (count, most)
            )
            times = (math.floor((first + _EPS) * rate) + np.arange(number)) / rate
            times = np.pad(times, (0, total - number), mode="edge")
            results["times"][stream] = times[None]  # (1, n)
            if self.num_frames is not None:
                masks = results.setdefault("times_mask", {})
                masks[stream] = (np.arange(total) < number)[None]
        results["start_sec"], results["end_sec"] = start, start + length
        return results

    def _moved(self, start: float, length: float, results: dict) -> float:
        whole = known_duration(results)
        last = start if whole is None else max(0.0, whole - length)
        moved = start + np.random.uniform(-self.shift, self.shift)
        return float(np.clip(moved, 0.0, last))
