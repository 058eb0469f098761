"""Choice of the times at which every stream of a clip is read."""

from collections.abc import Mapping

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.clip_extent import clip_span
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError

_WAVES, _WAVE_SIZE = 3, 1 / 6  # of a smooth warp; the speed is within 1 +- 3 / 6
FIXED = {"uniform": 0.5, "starts": 0.0, "ends": 1.0}  # place in each segment
MODES = ("random", "smooth", *FIXED)


@TRANSFORMS.register_module()
class SampleTimes(BaseTransform):
    """Choose the times of all streams on one time warp.

    The clip is cut into as many equal segments as the stream with the fewest frames has
    frames; one time is taken in each. Streams with more frames follow the same warp
    (piecewise linear through those times), so that frame and joints of one moment stay
    together: equal counts give equal times.

    Args:
        num_frames: frames per stream and view, as ``dict(video=8, skeleton=32)``.
        mode: ``random`` takes a uniform random time in each segment (training),
            ``uniform`` the centres (testing), ``starts`` their beginnings, as the video
            processors of transformers do, ``ends`` their ends, so that the last is the
            clip's; ``smooth``, for training, changes the speed
            along the clip slowly, by up to half, so that steps from frame to frame stay
            a measure of motion.
        num_views: v temporal views. In mode ``uniform`` view i takes the place
            (i + 0.5) / v of each segment, in ``starts`` i / v, in ``ends`` (i + 1) / v,
            else each draws anew.
        window: smallest and largest fraction of the clip that a random view covers, at
            a random place; (1, 1) is the whole clip. For ``random`` and ``smooth``.

    Required keys: start_sec, end_sec (None: to the end of the source). Added keys:
    times, a dict of float64 seconds (v, n) by stream. A clip that does not lie within
    its video is an error, or cut, by the dataset's ``outside``; so in every sampler.

    Example:
        >>> sampler = SampleTimes(num_frames=dict(video=2, skeleton=4), mode="uniform")
        >>> times = sampler(dict(start_sec=1.0, end_sec=3.0))["times"]
        >>> times["video"], times["skeleton"]
        (array([[1.5, 2.5]]), array([[1.25, 1.75, 2.25, 2.75]]))
    """

    def __init__(
        self,
        num_frames: Mapping[str, int],
        mode: str = "random",
        num_views: int = 1,
        window: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        if not num_frames or min(num_frames.values()) < 1:
            raise InputError(
                f"num_frames: got {dict(num_frames)}; expected 1 or more a stream"
            )
        if mode not in MODES:
            raise InputError(f"mode: got {mode!r}; expected one of {MODES}")
        if num_views < 1:
            raise InputError(f"num_views: got {num_views}; expected 1 or more")
        if len(window) != 2 or not 0 < window[0] <= window[1] <= 1:
            raise InputError(
                f"window: got {window}; expected (low, high), 0 < low <= high <= 1"
            )
        if mode in FIXED and tuple(window) != (1, 1):
            raise InputError(f"window: got {window}; mode {mode!r} takes (1, 1)")
        self.num_frames = dict(num_frames)
        self.mode = mode
        self.num_views = num_views
        self.window = tuple(window)

    def transform(self, results: dict) -> dict:
        start, end = clip_span(results, self.num_frames)
        num_segments = min(self.num_frames.values())
        place = self._places(num_segments)  # (v, s), where in each segment
        begin, length = self._windows()  # (v, 1) each
        times = {}
        for stream, count in self.num_frames.items():
            warped = np.stack([_warp(row, count) for row in place])  # (v, n)
            share = np.minimum(begin + length * warped, np.nextafter(1.0, 0.0))
            times[stream] = start + (end - start) * share  # (v, n)
        results["times"] = times
        return results

    def _places(self, num_segments: int) -> np.ndarray:
        """(v, s), in units of a segment from its begin."""
        if self.mode == "random":
            return np.random.random((self.num_views, num_segments))
        if self.mode == "smooth":
            centres = (np.arange(num_segments) + 0.5) / num_segments  # (s,)
            waves = np.arange(1, _WAVES + 1)[:, None]  # (k, 1)
            shifts = np.sin(np.pi * waves * centres) / (np.pi * waves)  # (k, s)
            sizes = np.random.uniform(-1, 1, (self.num_views, _WAVES)) * _WAVE_SIZE
            return 0.5 + num_segments * sizes @ shifts  # (v, s), outside of [0, 1), too
        views = np.arange(self.num_views) + FIXED[self.mode]
        views /= self.num_views
        return np.repeat(views[:, None], num_segments, axis=1)

    def _windows(self) -> tuple[np.ndarray, np.ndarray]:
        """Begin and length of each view's part of the clip, (v, 1), as fractions."""
        low, high = self.window
        if low == high == 1:
            return np.zeros((self.num_views, 1)), np.ones((self.num_views, 1))
        length = np.random.uniform(low, high, (self.num_views, 1))
        return np.random.random((self.num_views, 1)) * (1 - length), length


def _warp(place: np.ndarray, count: int) -> np.ndarray:
    """``count`` times in [0, 1] on the warp that ``place`` (s,) defines.

    The warp takes each segment's centre to the chosen place in it, 0 to 0, 1 to 1.
    """
    num = len(place)
    if num == count:
        return (np.arange(num) + place) / num
    centres, chosen = np.zeros((2, num + 2))
    centres[1:-1], centres[-1] = (np.arange(num) + 0.5) / num, 1.0
    chosen[1:-1], chosen[-1] = (np.arange(num) + place) / num, 1.0
    return np.interp((np.arange(count) + 0.5) / count, centres, chosen)


def times_of(results: dict, stream: str) -> np.ndarray:
    """The seconds (v, n) chosen for a stream.

    Raises:
        ValueError: the transform that chooses times does not name it.
    """
    times = results["times"]
    if stream not in times:
        raise InputError(
            f"times: got the streams {sorted(times)}; expected {stream!r}: add it to"
            " SampleTimes(num_frames=...) or SampleClock(rates=...)"
        )
    return times[stream]


def mark_absent(mask: np.ndarray, results: dict, stream: str) -> np.ndarray:
    """Mask (v, n, ...) of a stream without the times that stand for no frame.

    A transform that chooses fewer times than its arrays hold says so in ``times_mask``.
    """
    there = (results.get("times_mask") or {}).get(stream)
    if there is None:
        return mask
    return mask & there.reshape(*there.shape, *[1] * (mask.ndim - there.ndim))
