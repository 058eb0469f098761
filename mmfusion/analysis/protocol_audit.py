"""Numbers of what anticipation loaders show, over all segments of EPIC-KITCHENS-100."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.analysis.anticipation_loaders import LOADERS, Loader, Segments
from mmfusion.analysis.tables import Grid
from mmfusion.layouts import epic_kitchens as epic
from mmfusion.utils.errors import AnnotationError, InputError

TAU_A = 1.0  # seconds
FRAME = 1 / 30  # seconds, the longest that a loader's frame lasts
_SLACK = 1e-6  # seconds, of rounding
_LISTS = {"train": "training.csv", "val": "validation.csv"}


def read_split(root: Path, split: str = "val") -> Segments:
    """Segments of a split, with what the loaders need besides.

    Args:
        root: folder with the official csv files, EPIC_100_video_info.csv among them;
            RULSTM's lists are looked for in ``rulstm/``. Without its list of the split
            a number is half the official one, which is so for 9,658 of 9,668. Known
            actions are those of EPIC_100_train.csv, else of RULSTM's training list.
        split: ``val``, or ``train``.

    Raises:
        AnnotationError: a file lacks or is wrong, or a video has no rate.
    """
    if split not in _LISTS:
        raise InputError(f"split: got {split!r}; expected one of {[*_LISTS]}")
    classes = epic.read_classes(root)
    path = root / epic.SEGMENT_FILES[split]
    found = epic.read_segments(path, classes)
    if not found:
        raise AnnotationError(f"{path}: it has no segments below its header")
    rates = epic.read_rates(root / epic.VIDEO_FILE)
    seconds = epic.read_durations(root / epic.VIDEO_FILE)
    for one in found:
        if one.video not in rates:
            raise AnnotationError(
                f"{one.place}: the video {one.video!r} is not in {epic.VIDEO_FILE}"
            )
    lists = root / "rulstm" / _LISTS[split]
    listed = {}
    if lists.is_file():
        rows = epic.read_segments(lists, classes)
        listed = {one.narration_id: one.start_frame for one in rows}
    videos = tuple(one.video for one in found)
    fps = np.array([rates[video] for video in videos])
    return Segments(
        video=videos,
        start=np.array([one.start_sec for one in found]),
        stop=np.array([one.stop_sec for one in found]),
        start_frame=np.array([one.start_frame for one in found]),
        stop_frame=np.array([one.stop_frame for one in found]),
        list_frame=np.array(
            [listed.get(one.narration_id, _halved(one)) for one in found]
        ),
        fps=fps,
        video_frames=np.rint(fps * [seconds[video] for video in videos]),
        trained=_trained(root, classes, found),
    )


def _halved(segment: epic.EpicSegment) -> int:
    rate = epic.index_fps(segment.video)
    return int(segment.start_frame * epic.LIST_FPS / rate)


def _trained(
    root: Path, classes: epic.EpicClasses, segments: Sequence[epic.EpicSegment]
) -> np.ndarray | None:
    """Tell of each whether training has its pair of verb and noun."""
    for file in (epic.SEGMENT_FILES["train"], f"rulstm/{_LISTS['train']}"):
        if (root / file).is_file():
            known = {
                (one.verb, one.noun) for one in epic.read_segments(root / file, classes)
            }
            return np.array([(one.verb, one.noun) in known for one in segments])
    return None


@dataclass(frozen=True)
class Audit:
    """Numbers of what one loader shows in a test; shares in percent, times in seconds.

    Attributes:
        name: of the loader.
        total, kept: segments; all others are over ``kept``.
        dropped: segments, by reason; one may have two.
        padded: with frames repeated or moved, as the window did not fit.
        sees: that show a frame of the action, from its start to its end.
        into: that show one over a frame's time (1/30 s) after its start: rounding
            cannot bring it there.
        share: mean part of the action that the frames span.
        short: whose last frame is less than 1 s before the action.
        gap, median, least: from the last frame to the action's start, negative within.
        wrong_rate: segments whose assumed frame rate is over 1 % off.
        shift, most_shift: mean and largest error in time by it, absolute.
        source, rates, labels: of the loader.
    """

    name: str
    total: int
    kept: int
    dropped: dict[str, int]
    padded: int
    sees: float
    into: float
    share: float
    short: float
    gap: float
    median: float
    least: float
    wrong_rate: int
    shift: float
    most_shift: float
    source: str
    rates: str
    labels: str


def audit(loader: Loader, segments: Segments) -> Audit:
    """Numbers of one loader."""
    shown = loader.show(segments)
    dropped = {reason: int(mask.sum()) for reason, mask in shown.dropped.items()}
    none = np.zeros(len(segments.start), dtype=bool)
    kept = ~np.logical_or.reduce([none, *shown.dropped.values()])
    if not kept.any():
        raise InputError(f"{loader.name}: every segment is dropped: {dropped}")
    times, start, stop = shown.times[kept], segments.start[kept], segments.stop[kept]
    gap = start - times.max(axis=(1, 2))
    shift = np.zeros(len(start)) if shown.shift is None else np.abs(shown.shift[kept])
    return Audit(
        name=loader.name,
        total=len(kept),
        kept=int(kept.sum()),
        dropped=dropped,
        padded=_count(shown.padded, kept),
        sees=_within(times, start, stop),
        into=_within(times, start + FRAME, stop),
        share=100 * float(spanned(times, start, stop).mean()),
        short=100 * float((gap < TAU_A - _SLACK).mean()),
        gap=float(gap.mean()),
        median=float(np.median(gap)),
        least=float(gap.min()),
        wrong_rate=_count(shown.wrong_rate, kept),
        shift=float(shift.mean()),
        most_shift=float(shift.max()),
        source=loader.source,
        rates=loader.rates,
        labels=loader.labels,
    )


def _within(times: np.ndarray, start: np.ndarray, stop: np.ndarray) -> float:
    """Percent of segments with a frame (s, v, n) from ``start`` to ``stop`` (s,)."""
    within = (times >= start[:, None, None]) & (times <= stop[:, None, None])
    return 100 * float(within.any(axis=(1, 2)).mean())


def _count(mask: np.ndarray | None, kept: np.ndarray) -> int:
    return 0 if mask is None else int((mask & kept).sum())


def spanned(times: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Part of each action between the first and last frame of a view, views joined.

    Args:
        times: (s, v, n) seconds.
        start, stop: (s,) of the actions.

    Returns:
        (s,) in 0..1.
    """
    ends = (start[:, None], stop[:, None])
    begin, end = (np.clip(f(times, axis=2), *ends) for f in (np.min, np.max))  # (s, v)
    order = np.argsort(begin, axis=1)
    begin, end = (np.take_along_axis(x, order, axis=1) for x in (begin, end))
    reached = np.maximum.accumulate(end, axis=1)
    before = np.concatenate([start[:, None], reached[:, :-1]], axis=1)
    new = np.maximum(end - np.maximum(begin, before), 0)  # that no earlier view has
    return new.sum(axis=1) / (stop - start)


class ProtocolReport:
    """Tables of all loaders, in the form of ``analysis/tables.py``."""

    def __init__(self, segments: Segments, loaders: Sequence[Loader] = LOADERS) -> None:
        self.rows = [audit(loader, segments) for loader in loaders]

    def grids(self) -> list[Grid]:
        """Tables of what is seen and of frame rates."""
        return [self._windows(), self._rates()]

    def notes(self) -> list[str]:
        """A line for each loader: source, rates, labels used, what is dropped."""
        notes = []
        for row in self.rows:
            lost = [f"{count} {why}" for why, count in row.dropped.items() if count]
            parts = [f"{row.name}: {row.source}", f"frame rates: {row.rates}"]
            parts.append(f"of the labels in a test: {row.labels}")
            if lost:
                parts.append(f"dropped: {', '.join(lost)}")
            notes.append("; ".join(parts))
        return notes

    def as_dict(self) -> dict[str, Any]:
        """All numbers."""
        return {"loaders": [asdict(row) for row in self.rows]}

    def _windows(self) -> Grid:
        head = ["loader", "kept", "dropped", "padded", "sees the action, %"]
        head += ["over 1/30 s into it", "part seen, mean %", "gap under 1 s, %"]
        head += ["gap, mean s", "median", "least"]
        rows = [
            [
                row.name,
                str(row.kept),
                str(row.total - row.kept),
                str(row.padded),
                f"{row.sees:.1f}",
                f"{row.into:.1f}",
                f"{row.share:.1f}",
                f"{row.short:.1f}",
                f"{row.gap:.2f}",
                f"{row.median:.2f}",
                f"{row.least:.2f}",
            ]
            for row in self.rows
        ]
        title = f"What each loader shows in a test, of {self.rows[0].total} segments"
        return Grid(title, head, rows)

    def _rates(self) -> Grid:
        head = ["loader", "rate over 1 % off", "error, mean s", "largest s"]
        rows = [
            [
                row.name,
                str(row.wrong_rate),
                f"{row.shift:.3f}",
                f"{row.most_shift:.1f}",
            ]
            for row in self.rows
        ]
        return Grid("Frame rates that are assumed", head, rows)
