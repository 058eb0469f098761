"""Choice of frames at a fixed rate a stream, as a camera gives them."""

import math
from collections.abc import Mapping

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.clip_extent import clip_span
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError, check_choice

MODES = ("all", "random")
_TIE = 1e-6  # frames; rounding must not make a frame at the very end of a clip


@TRANSFORMS.register_module()
class SampleRates(BaseTransform):
    """Choose the frames of each stream by its own clock, from the clip's start on.

    Frame i of a stream with rate r is that of (i + 0.5) / r seconds after the start. A
    clip has as many as fit before its end, at most ``num_frames``, then its last ones;
    the rest of the array repeats the last frame and is marked as not there.

    Args:
        rates: frames a second by stream, as ``dict(video=8, skeleton=30)``.
        num_frames: length of the arrays by stream, for the longest clip.
        mode: ``all`` (testing), or ``random`` (training).
        window: smallest and largest fraction of the clip that is taken, at a random
            place; (1, 1) is the whole. In mode ``all`` (s, s) is its first share s, all
            that has been seen in the middle of a clip.
        speed: smallest and largest factor of the rates, one drawn for all streams.
        lost: probability of each frame to be lost, in [0, 1); one stays at least.

    Required keys: start_sec, end_sec. Added keys: times, a dict of float64 seconds
    (1, n) by stream; times_mask, bool (1, n) by stream, False past the last frame.

    Example:
        >>> sampler = SampleRates(dict(video=2), dict(video=3), mode="all")
        >>> results = sampler(dict(start_sec=1.0, end_sec=2.0))
        >>> results["times"]["video"], results["times_mask"]["video"]
        (array([[1.25, 1.75, 1.75]]), array([[ True,  True, False]]))
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        num_frames: Mapping[str, int],
        mode: str = "random",
        window: tuple[float, float] = (1.0, 1.0),
        speed: tuple[float, float] = (1.0, 1.0),
        lost: float = 0.0,
    ) -> None:
        check_choice("mode", mode, MODES)
        if not rates or not all(0 < rate < math.inf for rate in rates.values()):
            raise InputError(f"rates: got {dict(rates)}; expected frames a second")
        if rates.keys() != num_frames.keys() or min(num_frames.values()) < 1:
            raise InputError(
                f"num_frames: got {dict(num_frames)}; expected 1 or more for each of"
                f" {[*rates]}"
            )
        if len(window) != 2 or not 0 < window[0] <= window[1] <= 1:
            raise InputError(
                f"window: got {window}; expected (low, high), 0 < low <= high <= 1"
            )
        if len(speed) != 2 or not 0 < speed[0] <= speed[1] < math.inf:
            raise InputError(f"speed: got {speed}; expected (low, high), 0 < low")
        if not 0 <= lost < 1:
            raise InputError(f"lost: got {lost}; expected 0 <= lost < 1")
        if mode == "all" and (window[0] < window[1] or (*speed, lost) != (1, 1, 0)):
            raise InputError(
                f"window={window}, speed={speed}, lost={lost}: mode 'all' draws nothing"
            )
        self.rates, self.num_frames = dict(rates), dict(num_frames)
        self.mode, self.lost = mode, lost
        self.window, self.speed = (window[0], window[1]), (speed[0], speed[1])

    def transform(self, results: dict) -> dict:
        start, end = clip_span(results, self.rates)
        speed = 1.0
        if self.mode == "all":
            end = start + (end - start) * self.window[1]
        if self.mode == "random":
            length = (end - start) * np.random.uniform(*self.window)
            start += np.random.random() * (end - start - length)
            end = start + length
            speed = np.random.uniform(*self.speed)
        results["times"], results["times_mask"] = {}, {}
        for stream, rate in self.rates.items():
            times, mask = self._frames(start, end, speed / rate, stream)
            results["times"][stream], results["times_mask"][stream] = times, mask
        return results

    def _frames(
        self, start: float, end: float, step: float, stream: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Times (1, n) and mask (1, n) of one stream, ``step`` seconds apart."""
        is_random = self.mode == "random"
        phase = np.random.random() if is_random else 0.5
        count = max(1, math.ceil((end - start) / step - phase - _TIE))
        times = start + (np.arange(count) + phase) * step
        times = np.minimum(times, start + (end - start) * np.nextafter(1.0, 0.0))
        if is_random and self.lost:
            kept = np.random.random(count) >= self.lost
            kept[np.random.randint(count)] = True
            times = times[kept]
        total = self.num_frames[stream]
        times = times[-total:]
        mask = np.arange(total) < len(times)
        return np.pad(times, (0, total - len(times)), mode="edge")[None], mask[None]
