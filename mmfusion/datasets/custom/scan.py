"""The files of all clips: each opened once, and what is wrong told with its row."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmfusion.datasets.conversion import relative_to
from mmfusion.datasets.custom.data import CACHES, VIDEOS, CustomData
from mmfusion.datasets.custom.sequences import (
    Timed,
    VideoFacts,
    open_video_facts,
    read_timed,
)
from mmfusion.datasets.custom.tally import LandmarkTally
from mmfusion.layouts.clip_extent import outside_video
from mmfusion.layouts.clip_list import ClipRow
from mmfusion.layouts.landmarks import LandmarkOptions, find_landmarks
from mmfusion.utils.errors import AnnotationError, MediaError, MMFusionError


def group_of(row: ClipRow) -> str:
    """Name of the sequence that a clip is part of: its video, or its landmarks."""
    return str(row.video or row.hands)


@dataclass(frozen=True)
class LandmarkFile:
    """A file of landmarks, to be read again when its cache is written.

    Attributes:
        path: of it. video: whose landmarks they are. group: of the records.
    """

    path: Path
    video: VideoFacts | None
    group: str

    def read(self, options: LandmarkOptions) -> Timed:
        """The landmarks, with the moment of each row."""
        return read_timed(self.path, self.video, options)


@dataclass(frozen=True)
class _Cached:
    """A cache to be: its file relative to ``out``, its rate, its length in seconds."""

    file: str
    fps: float
    duration: float


class Scan:
    """The files of all rows, each opened once; faults go into the report."""

    def __init__(self, data: CustomData) -> None:
        self.data, self.source = data, data.source
        self.skeleton: dict[str, Any] | None = None
        self.first_landmarks: Path | None = None
        self.tally = LandmarkTally()
        self.rates: Counter[str] = Counter()
        self.without_hands: list[str] = []
        self._videos: dict[str, VideoFacts | str] = {}
        self._timed: dict[str, _Cached | str | None] = {}
        self._found: dict[Path, str] = {}
        self._hands_of: dict[str, tuple[str | None, str]] = {}

    def take(self, row: ClipRow) -> bool:
        """Open what a row names; False, with a fault in the report, if it is wrong."""
        reason = self._fault(row)
        if reason is None:
            return True
        name = group_of(row)
        place = "" if row.place == name else f"{row.place}: "
        self.data.report.faults.append(f"{place}{reason}")
        self.data.report.dropped.append((name, "faulty file"))
        return False

    def _fault(self, row: ClipRow) -> str | None:
        video = None
        if row.video is not None:
            found = self._video(row.video)
            if isinstance(found, str):
                return found
            video = found
            fault = outside_video(row.start or 0.0, row.end, video.duration)
            if fault is not None:
                return f"{fault} ({row.video})"
        first, place = self._hands_of.setdefault(group_of(row), (row.hands, row.place))
        if first != row.hands:
            return (
                f"hands is {row.hands!r}, and {first!r} in {place}; expected one file"
                f" for all clips of {group_of(row)!r}"
            )
        timed = self._landmarks(row, video)
        if isinstance(timed, str):
            return timed
        if timed is not None and video is None:
            fault = outside_video(row.start or 0.0, row.end, timed.duration)
            if fault is not None:
                return f"{fault} ({row.hands})".replace("its video", "its file")
        return None

    def _video(self, name: str) -> VideoFacts | str:
        if name not in self._videos:
            path = self.source.folder / name
            try:
                self._videos[name] = facts = open_video_facts(path)
                self.rates[f"{facts.fps:.4g}"] += 1
            except MediaError as error:
                self._videos[name] = str(error)
        return self._videos[name]

    def _landmark_path(self, row: ClipRow) -> Path | None:
        """The file of landmarks: named, or found by the video's name."""
        if row.hands is not None:
            return (self.source.hands or self.source.folder) / row.hands
        video = Path(str(row.video))
        if self.source.hands is None:
            return find_landmarks(self.source.folder / video)
        # the videos may have been named from a folder further down
        for first in range(len(video.parts)):
            found = find_landmarks(self.source.hands.joinpath(*video.parts[first:]))
            if found is not None:
                return found
        return None

    def _landmarks(
        self, row: ClipRow, video: VideoFacts | None
    ) -> _Cached | str | None:
        """Cache, its rate and its seconds; a reason; None where there are no hands."""
        group = group_of(row)
        if group not in self._timed:
            path = self._landmark_path(row)
            if path is None:
                self.without_hands.append(group)
                self._timed[group] = None
            elif row.hands is None and self._found.setdefault(path, group) != group:
                self._timed[group] = (
                    f"{self._found[path]} and {group} would both have the landmarks"
                    f" {path}; rename one video, or name its file in the column hands"
                )
            else:
                file = LandmarkFile(path, video, group)
                try:
                    self._timed[group] = self._measure(file)
                except MMFusionError as error:
                    self._timed[group] = str(error)
        return self._timed[group]

    def _measure(self, file: LandmarkFile) -> _Cached:
        timed = file.read(self.source.options)
        skeleton = timed.landmarks.skeleton
        if self.skeleton is None:
            self.skeleton, self.first_landmarks = skeleton, file.path
        elif self.skeleton != skeleton:
            raise AnnotationError(
                f"{file.path} has skeletons {skeleton}; expected {self.skeleton}, as"
                " the files before: one annotation has one kind"
            )
        self.tally.add(timed.landmarks, timed.fps)
        if file.video is not None:
            self.tally.compare(file.group, timed.duration, file.video.duration)
        cache = f"{CACHES}/{file.group}.npz"
        self.data.landmarks[cache] = file
        return _Cached(cache, timed.fps, timed.duration)

    def _video_name(self, group: str) -> str:
        """Its path in the data set: where it lies, or where it will be placed."""
        out = os.path.realpath(self.source.out)
        path = self.source.folder / group
        if os.path.realpath(path).startswith(out + os.sep):
            return relative_to(Path(out), Path(os.path.realpath(path)))
        self.data.videos[f"{VIDEOS}/{group}"] = path
        return f"{VIDEOS}/{group}"

    def record(self, row: ClipRow, split: str, classes: Sequence[str]) -> dict:
        """The annotation's record of a clip."""
        group = group_of(row)
        record: dict[str, Any] = {}
        video, timed = self._videos.get(group), self._timed[group]
        assert not isinstance(video, str) and not isinstance(timed, str)
        duration, fps = 0.0, 0.0
        if video is not None:
            record["video"] = self._video_name(group)
            duration, fps = video.duration, video.fps
        if timed is not None:
            record["skeleton"] = {"file": timed.file}
            duration, fps = duration or timed.duration, timed.fps
        start, end = row.start or 0.0, row.end or duration
        first = int(start * fps + 1e-3)
        known = {"subject": row.subject, "scene": row.scene}
        extra = {key: name for key, name in known.items() if name is not None}
        is_part = row.start is not None or row.end is not None
        return {
            "id": f"{group}#{start:g}-{end:g}" if is_part else group,
            "group": group,
            "split": split,
            **record,
            "start_sec": start,
            "end_sec": end,
            "duration_sec": duration,
            "start_frame": first,
            "end_frame": max(first, round(min(end, duration) * fps) - 1),
            "index_fps": fps,
            "label": {} if row.label is None else {"action": classes.index(row.label)},
            **({"extra": extra} if extra else {}),
        }
