"""Choice of the times before an action begins: with a real gap, or for a memory."""

from collections.abc import Iterable, Mapping

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.clip_extent import fit_clip, index_of
from mmfusion.datasets.media.video_reader import TIME_EPS
from mmfusion.datasets.public_windows import (
    VJEPA2_TRAIN_GAP,
    VJEPA2_TRAIN_POINT,
    inavit_numbers,
    vjepa2_numbers,
)
from mmfusion.datasets.transforms.sample_times import SampleTimes
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError

TAU_A = 1.0  # seconds
TAU_O = 64 / 30  # seconds: 64 frames at 30 a second
DROP = ("none", "empty", "padded")


@TRANSFORMS.register_module()
class SampleObservedFrames(BaseTransform):
    """Choose times in [start - tau_a - tau_o, start - tau_a], start the action's own.

    All streams share one time warp, as in :class:`SampleTimes`. No time, and no frame
    that is decoded for one, lies after start - tau_a. The record's start_sec and
    end_sec become those of the window, so that no later transform sees the action.

    What of the window lies before the source begins is padded by its first frame. Where
    the source begins only after start - tau_a nothing can be observed: the first frame
    is shown all the same, the one exception to the rule above, as an evaluation keeps
    every segment. Both kinds have ``padded`` True, and can be dropped.

    ``legacy_inavit`` reproduces the sampling of the public loaders of InAViT and
    MambaVL (frame_loader.py), **which leave no gap**: the window is placed relative to
    the action, but then clamped to the action's own frames, so that they lie at its
    start or within. It exists to reproduce numbers that were obtained so.

    Args:
        num_frames: frames per stream and view, as ``dict(video=16, skeleton=32)``; None
            is 16 of the video.
        tau_a: seconds between the window's end and the action's start.
        tau_o: seconds of the window.
        mode: ``random`` takes a uniform random time in each of the equal parts of the
            window (training), ``uniform`` their middles (testing), ``ends`` their ends.
        num_views: v: the window is cut into so many parts, the first the oldest, each
            with ``num_frames``; for a longer tau_o.
        num_clips: c: clips in a row that an encoder with a memory reads of each view,
            such as :class:`MeMViT`. One of which nothing exists is marked as not there,
            but the last.
        drop: which clips the dataset drops, with a count in the log: ``none``,
            ``empty`` (nothing can be observed), ``padded`` (those, and all that lack a
            part of the window).
        allow_action: permit tau_a < 0, a window that reaches into the action. That is
            no anticipation; it shows what the gap hides.
        legacy_inavit: see above; of the other arguments ``num_frames``, ``mode`` and
            ``num_views`` count.
        legacy_vjepa2: see above; of the other arguments ``num_frames`` (32 of the
            video there) and ``mode`` count.

    Required keys: start_sec; frame_ids and index_fps where only some frames exist; with
    a legacy sampling start_frame, end_frame, index_fps. Modified keys: start_sec,
    end_sec. Added keys: times, observed_times (the same, for the metainfo), dicts of
    float64 seconds (v, n) by stream; tau_a, tau_o (None in a legacy mode), padded,
    sampling (``legacy_inavit``, ``legacy_vjepa2`` or None); with ``num_clips``
    times_mask, bool (v, n) by stream.

    Example:
        >>> sampler = SampleObservedFrames(dict(video=4), tau_o=2.0, mode="uniform")
        >>> sampler(dict(start_sec=5.0))["times"]["video"]
        array([[2.25, 2.75, 3.25, 3.75]])
    """

    def __init__(
        self,
        num_frames: Mapping[str, int] | None = None,
        *,
        tau_a: float = TAU_A,
        tau_o: float = TAU_O,
        mode: str = "random",
        num_views: int = 1,
        num_clips: int = 1,
        drop: str = "none",
        allow_action: bool = False,
        legacy_inavit: bool = False,
        legacy_vjepa2: bool = False,
    ) -> None:
        if tau_a < 0 and not allow_action:
            raise InputError(
                f"tau_a: got {tau_a}; expected 0 or more: the window must end before"
                " the action starts. allow_action=True permits to look into it"
            )
        if not tau_o > 0:
            raise InputError(f"tau_o: got {tau_o}; expected more than 0 seconds")
        if num_views < 1:
            raise InputError(f"num_views: got {num_views}; expected 1 or more")
        frames = dict(video=16) if num_frames is None else dict(num_frames)
        _check_clips(num_clips, frames)
        if drop not in DROP:
            raise InputError(f"drop: got {drop!r}; expected one of {DROP}")
        if legacy_vjepa2 and (legacy_inavit or num_views > 1):
            raise InputError(
                "legacy_vjepa2: that loader shows one view; expected num_views=1, and"
                " not legacy_inavit at once"
            )
        self.sampler = SampleTimes(frames, mode=mode)
        self.tau_a = float(tau_a)
        self.tau_o = float(tau_o)
        self.num_views, self.num_clips = num_views, num_clips
        self.drop = drop
        self.sampling: str | None = None
        if legacy_inavit or legacy_vjepa2:
            self.sampling = "legacy_inavit" if legacy_inavit else "legacy_vjepa2"

    def transform(self, results: dict) -> dict:
        if results.get("end_sec") is not None:  # else only the window must exist
            fit_clip(results, self.sampler.num_frames)
        if self.sampling:
            inavit = self.sampling == "legacy_inavit"
            choose = self._inavit_times if inavit else self._vjepa2_times
            times = choose(results, *_numbers_of(results))
            window = results.get("start_sec"), results.get("end_sec")
            results.update(tau_a=None, tau_o=None, sampling=self.sampling)
        else:
            times, window = self._times(results)
            results.update(tau_a=self.tau_a, tau_o=self.tau_o, sampling=None)
        results["padded"] = self.is_padded(results)
        results["times"] = results["observed_times"] = times
        results["start_sec"], results["end_sec"] = window
        return results

    def window(self, record: Mapping) -> tuple[float, float]:
        """Begin and end in seconds; the begin may lie before the source.

        Raises:
            ValueError: the record has no start.
        """
        start = record.get("start_sec")
        if start is None:
            raise InputError(
                f"sample {record.get('sample_id') or record.get('id')!r} has no"
                " start_sec; expected the second at which its action begins"
            )
        end = float(start) - self.tau_a
        return end - self.tau_o, end

    def is_padded(self, record: Mapping) -> bool:
        """Tell whether a part of the window lies before the source begins."""
        return not self.sampling and self.window(record)[0] < _begin_of(record)

    def is_empty(self, record: Mapping) -> bool:
        """Tell whether the source begins only after start - tau_a."""
        return not self.sampling and self.window(record)[1] < _begin_of(record)

    def keeps(self, record: Mapping) -> bool:
        """Tell whether the dataset keeps this record, see ``drop``."""
        if self.drop == "none":
            return True
        return not (self.is_padded if self.drop == "padded" else self.is_empty)(record)

    def describe(self, records: Iterable[Mapping]) -> str:
        """One line about the window and the clips that have no room for it."""
        if self.sampling == "legacy_inavit":
            return (
                "legacy_inavit: frames at the action's start or within; no gap is left,"
                " and this is no anticipation"
            )
        if self.sampling:
            spans = [float(one["end_sec"]) - float(one["start_sec"]) for one in records]
            return (
                "legacy_vjepa2: frames up to 1 s before the action's END; it is looked"
                f" into in the {sum(span > 1 for span in spans)} of {len(spans)} clips"
                " that last over 1 s, and this is no anticipation"
            )
        padded = empty = total = 0
        for record in records:
            total += 1
            padded += self.is_padded(record)
            empty += self.is_empty(record)
        into = " (INTO the action: no anticipation)" if self.tau_a < 0 else ""
        return (
            f"tau_a={self.tau_a:.3g}s{into}, tau_o={self.tau_o:.3g}s,"
            f" {self.num_views} x {self.sampler.num_frames} frames; {padded} of {total}"
            f" clips padded by their first frame, {empty} of them with nothing to"
            " observe"
        )

    def _times(
        self, results: dict
    ) -> tuple[dict[str, np.ndarray], tuple[float, float]]:
        """The times of each stream (v, n), and the part of the window that exists."""
        begin, end = self.window(results)
        edges = np.linspace(begin, end, self.num_views + 1)
        clips = [
            self.sampler.transform(dict(start_sec=low, end_sec=high))["times"]
            for low, high in zip(edges[:-1], edges[1:], strict=True)
        ]
        first, last = _begin_of(results), end
        if self.tau_a < 0 and results.get("end_sec") is not None:
            last = min(last, float(results["end_sec"]))  # the source may end there
        chosen = {
            stream: np.concatenate([clip[stream] for clip in clips])
            for stream in self.sampler.num_frames
        }  # (v, n) each
        if self.num_clips > 1:
            results["times_mask"] = {
                stream: self._clips_there(seconds, first)
                for stream, seconds in chosen.items()
            }
        times = {
            stream: _between(results, seconds, first, last)
            for stream, seconds in chosen.items()
        }
        low = max(begin, first)
        return times, (low, max(low, last))

    def _clips_there(self, seconds: np.ndarray, first: float) -> np.ndarray:
        """Mask of times (v, n): all of a clip, or none."""
        newest = seconds.reshape(self.num_views, self.num_clips, -1)[:, :, -1]
        there = newest >= first  # (v, c)
        there[:, -1] = True
        return there.repeat(seconds.shape[1] // self.num_clips, axis=1)

    def _inavit_times(
        self, results: dict, first: int, last: int, fps: float
    ) -> dict[str, np.ndarray]:
        """Seconds of :func:`inavit_numbers`, the clip anywhere in training."""
        if self.sampler.mode == "random":
            share = np.random.random(self.num_views)
        else:
            share = np.arange(self.num_views) / self.num_views
        times = {}
        for stream, count in self.sampler.num_frames.items():
            number = inavit_numbers(last - first, fps, count, share)  # (v, n)
            # file number 1 is the frame at 0 s
            times[stream] = np.maximum(first + number - 1, 0) / fps
        return times

    def _vjepa2_times(
        self, results: dict, first: int, last: int, fps: float
    ) -> dict[str, np.ndarray]:
        """Seconds of :func:`vjepa2_numbers`, which count the video's own frames."""
        index = index_of(results, "video" in self.sampler.num_frames)
        if index is not None:  # a rounding error must not take a frame from a second
            fps = round(len(index.times) / index.duration, 3)
        point, gap = 0.0, 1.0
        if self.sampler.mode == "random":
            gap = np.random.uniform(*VJEPA2_TRAIN_GAP)
            point = np.random.uniform(*VJEPA2_TRAIN_POINT)
        times = {}
        for stream, count in self.sampler.num_frames.items():
            number = vjepa2_numbers(first, last, fps, count, point=point, gap=gap)
            number = np.maximum(number, 0)[None]  # (1, n)
            if index is None:
                times[stream] = number / fps
            else:
                times[stream] = index.times[np.minimum(number, len(index.times) - 1)]
        return times


@TRANSFORMS.register_module()
class SampleClipsBefore(BaseTransform):
    """Choose times of an action, as :class:`SampleTimes`, and of the clips before it.

    For recognition by an encoder with a memory, such as :class:`MeMViT`: the last clip
    is the action's own, those before it end where it starts, one after the other. A
    clip of which nothing exists is marked as not there.

    Args:
        num_frames: frames of all clips per stream, as ``dict(video=80)``.
        num_clips: c, the action's own among them. clip_seconds: of each one before it.
        mode: as of :class:`SampleTimes`, in every clip.

    Required keys: start_sec, end_sec; frame_ids and index_fps where only some frames
    exist. Added keys: times, dict of float64 seconds (1, n), times_mask, bool (1, n).

    Example:
        >>> sampler = SampleClipsBefore(dict(video=4), 2, clip_seconds=2.0, mode="ends")
        >>> sampler(dict(start_sec=5.0, end_sec=6.0))["times"]["video"]
        array([[4.   , 4.999, 5.5  , 6.   ]])
    """

    def __init__(
        self,
        num_frames: Mapping[str, int],
        num_clips: int,
        *,
        clip_seconds: float = TAU_O,
        mode: str = "random",
    ) -> None:
        _check_clips(num_clips, num_frames)
        if not clip_seconds > 0:
            raise InputError(
                f"clip_seconds: got {clip_seconds}; expected more than 0 seconds"
            )
        self.num_clips, self.clip_seconds = num_clips, float(clip_seconds)
        frames = {stream: count // num_clips for stream, count in num_frames.items()}
        self.sampler = SampleTimes(frames, mode=mode)

    def transform(self, results: dict) -> dict:
        own = self.sampler.transform(results)["times"]
        first, start = _begin_of(results), float(results.get("start_sec") or 0.0)
        clips = []
        for before in range(self.num_clips - 1, 0, -1):
            low = start - before * self.clip_seconds
            span = dict(start_sec=low, end_sec=low + self.clip_seconds)
            clips.append(self.sampler.transform(span)["times"])
        results["times"], results["times_mask"] = {}, {}
        for stream, times in own.items():
            past = np.array([clip[stream][0] for clip in clips])  # (c - 1, n / c)
            past = past.reshape(len(clips), times.shape[1])
            there = np.repeat(past[:, -1:] >= first, times.shape[1], axis=1)
            past = _between(results, past.reshape(1, -1), first, start)
            chosen = np.concatenate([past, times], axis=1)
            mask = np.concatenate([there.reshape(1, -1), np.full(times.shape, True)], 1)
            results["times"][stream], results["times_mask"][stream] = chosen, mask
        return results


def _check_clips(num_clips: int, frames: Mapping[str, int]) -> None:
    """Check that every stream's frames are so many clips.

    Raises:
        InputError: they are not.
    """
    if num_clips < 1 or any(count % num_clips for count in frames.values()):
        raise InputError(
            f"num_clips: got {num_clips}; expected 1 or more, and num_frames,"
            f" {dict(frames)}, multiples of it"
        )


def _numbers_of(record: Mapping) -> tuple[int, int, float]:
    """Annotated first and last frame, and how many a second they count.

    Raises:
        InputError: the record lacks one.
    """
    values = [record.get(key) for key in ("start_frame", "end_frame", "index_fps")]
    first, last, fps = values
    if first is None or last is None or fps is None:
        raise InputError(
            f"sample {record.get('sample_id') or record.get('id')!r} has start_frame,"
            f" end_frame, index_fps {values}; expected all three for a legacy sampling,"
            " as tools/data/ek100/prepare.py writes them"
        )
    return int(first), int(last), float(fps)


def _begin_of(record: Mapping) -> float:
    """The second at which the first frame appears."""
    ids = _frame_ids(record)
    return 0.0 if ids is None else float(ids[0]) / float(record["index_fps"] or 30.0)


def _frame_ids(record: Mapping) -> np.ndarray | None:
    """Numbers of the images that exist, where not every one does."""
    ids = record.get("frame_ids")
    if ids is None or record.get("video") or not len(ids):
        return None
    return np.asarray(ids)


def _between(results: dict, times: np.ndarray, first: float, last: float) -> np.ndarray:
    """Times of frames from ``first``, none of which is later than ``last``."""
    # a reader takes a frame that appears TIME_EPS later for the one asked for
    latest = max(first, last - TIME_EPS)
    return _at_frames(results, np.clip(times, first, latest))


def _at_frames(results: dict, times: np.ndarray) -> np.ndarray:
    """Times of the images shown last, where images are missing; else unchanged.

    A reader would take the nearest image, which may be a later one.
    """
    ids = _frame_ids(results)
    if ids is None:
        return times
    own = ids / float(results["index_fps"] or 30.0)
    return own[np.maximum(np.searchsorted(own, times + 1e-9, side="right") - 1, 0)]
