"""Frames by their numbers, as the released code of VideoMamba and Motionformer does."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.clip_extent import clip_span
from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.video_reader import TIME_EPS
from mmfusion.datasets.transforms.sample_times import MODES
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError

RULES = ("rounded", "floored")


@TRANSFORMS.register_module()
class SampleSegments(BaseTransform):
    """One frame of each of n equal segments of a clip of N frames, in whole frames.

    VideoMamba's two loaders differ. With s = (N - 1) / n and i = 0..n - 1:

    - ``rounded`` (Kinetics): in training a random integer from round(s i) to
      round(s (i + 1)), both included; in testing, view k of v takes
      round(s i) + int(s / (v + 1) (k + 1)). No number is above N - 1.
    - ``floored`` (Something-Something): in training i (N // n) plus a random integer
      below N // n, and of a clip of fewer than n frames always the first; in testing,
      view k of v takes int(N / n (i + k / v)), a single view int(N / n (i + 1 / 2)).

    ``SampleTimes`` is the same idea in seconds (and AVION's segment centres).

    Args:
        num_frames: n. rule: see above.
        mode: ``random`` (training) or ``uniform`` (testing).
        num_views: v; in mode ``random`` each view draws anew.

    Required keys: start_sec, end_sec, and video_path or index_fps. Added keys: times,
    ``{"video": (v, n) float64 seconds}``.
    """

    def __init__(
        self,
        num_frames: int,
        rule: str = "rounded",
        mode: str = "random",
        num_views: int = 1,
    ) -> None:
        if rule not in RULES or mode not in MODES:
            raise InputError(
                f"rule: got {rule!r}, mode {mode!r}; expected one of {RULES} and"
                f" {MODES}"
            )
        if num_frames < 1 or num_views < 1:
            raise InputError(
                f"num_frames: got {num_frames}, num_views {num_views}; expected 1 or"
                " more"
            )
        self.num_frames, self.num_views = num_frames, num_views
        self.rule, self.mode = rule, mode

    def transform(self, results: dict) -> dict:
        shown = frame_times(results)
        views = range(self.num_views)
        index = np.stack([self.frame_numbers(len(shown), view) for view in views])
        results["times"] = {"video": shown[index]}  # (v, n)
        return results

    def frame_numbers(self, total: int, view: int) -> np.ndarray:
        """Numbers (n,) of the frames of one view, for a clip of ``total`` frames."""
        place = np.arange(self.num_frames)
        if self.rule == "rounded":
            size = max(0.0, (total - 1) / self.num_frames)
            low = np.round(size * place).astype(int)
            if self.mode == "random":
                high = np.round(size * (place + 1)).astype(int)
                index = np.random.randint(low, high + 1)
            else:
                index = low + int(size / (self.num_views + 1) * (view + 1))
        elif self.mode == "random":
            size = total // self.num_frames
            index = place * size + np.random.randint(max(size, 1), size=len(place))
        else:
            inside = view / self.num_views if self.num_views > 1 else 0.5
            index = (total / self.num_frames * (place + inside)).astype(int)
        return index


@TRANSFORMS.register_module()
class SampleWindow(BaseTransform):
    """n frames at equal distance in a window of so many seconds, as Motionformer does.

    In training the window is anywhere in the clip; in testing, view k of v begins at
    k / v of the room that the clip leaves. A shorter clip repeats its last frame.

    Args:
        num_frames: n, 2 or more.
        seconds: of the window: 16 frames with a stride of 4 at 30 a second are 64 / 30.
        mode, num_views: as :class:`SampleSegments`.

    Required keys: start_sec, end_sec, and video_path or index_fps. Added keys: times,
    ``{"video": (v, n) float64 seconds}``.
    """

    def __init__(
        self,
        num_frames: int,
        seconds: float,
        mode: str = "random",
        num_views: int = 1,
    ) -> None:
        if mode not in MODES:
            raise InputError(f"mode: got {mode!r}; expected one of {MODES}")
        if num_frames < 2 or num_views < 1 or not seconds > 0:
            raise InputError(
                f"num_frames: got {num_frames}, num_views {num_views}, seconds"
                f" {seconds}; expected 2 or more, 1 or more, above 0"
            )
        self.num_frames, self.num_views = num_frames, num_views
        self.seconds, self.mode = seconds, mode

    def transform(self, results: dict) -> dict:
        shown = frame_times(results)
        step = (shown[-1] - shown[0]) / (len(shown) - 1) if len(shown) > 1 else 1.0
        size = self.seconds / step  # frames in the window
        room = max(len(shown) - size, 0.0)
        if self.mode == "random":
            begin = np.random.uniform(0, room, (self.num_views, 1))
        else:
            begin = room * np.arange(self.num_views)[:, None] / self.num_views
        inside = np.linspace(0, size - 1, self.num_frames)
        index = np.clip(begin + inside, 0, len(shown) - 1).astype(int)  # (v, n)
        results["times"] = {"video": shown[index]}
        return results


def frame_times(results: dict) -> np.ndarray:
    """Seconds (N,) at which the frames of a clip appear, at least one.

    A video says so itself; of a folder of images or of chunks, ``index_fps`` does.

    Raises:
        ValueError: neither is there, the clip is empty, or not within its video.
    """
    start, end = clip_span(results, ["video"])
    chunks = (results.get("extra") or {}).get("chunk_seconds")
    if results.get("video_path") and not chunks:
        every = read_index(results["video_path"]).times
    elif results.get("index_fps"):
        rate = results["index_fps"]
        every = np.arange(max(1, int(np.ceil(end * rate - 1e-6)))) / rate
    else:
        raise InputError(
            f"sample {results.get('sample_id')!r} has no video file and no index_fps;"
            " expected one of them to count its frames by"
        )
    first, last = np.searchsorted(every, [start - TIME_EPS, end - TIME_EPS])
    first = min(first, len(every) - 1)
    return every[first : max(last, first + 1)]
