"""Untrimmed videos from records of their actions: one record a video, or a window."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmfusion.datasets.clip_extent import known_duration
from mmfusion.utils.errors import AnnotationError, InputError

BACKGROUND = "background"
AROUND = 10.0  # seconds about a window, whose actions its record knows, too
_OF_THE_VIDEO = (
    *("group", "split", "video", "frame_dir", "filename_tmpl", "start_index"),
    *("total_frames", "duration_sec", "index_fps", "frame_ids", "skeleton", "boxes"),
    "camera",
)


@dataclass(frozen=True)
class Untrimmed:
    """Windows of untrimmed videos, in place of the clips of their actions.

    Attributes:
        seconds: length of a window; None is the whole video. The last one is moved back
            to end with the video; a shorter video is one window.
        stride: seconds from window to window; None is their length.
    """

    seconds: float | None = None
    stride: float | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "stride"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(
                    f"untrimmed.{name}: got {value}; expected seconds above 0, or None"
                )
        if self.seconds is None and self.stride is not None:
            raise InputError(
                f"untrimmed.stride: got {self.stride} without seconds; expected the"
                " length of a window, too"
            )

    def starts(self, duration: float) -> list[float]:
        """Seconds at which the windows of a video start.

        >>> Untrimmed(4.0, 3.0).starts(9.0)
        [0.0, 3.0, 5.0]
        """
        if self.seconds is None or self.seconds >= duration:
            return [0.0]
        stride, last = self.stride or self.seconds, duration - self.seconds
        count = math.ceil(round(last / stride, 9))
        return [*(round(stride * i, 6) for i in range(count)), last]

    def records(self, records: Sequence[Mapping[str, Any]], where: str) -> list[dict]:
        """Records of windows, in the order of their videos.

        A window has the streams of its video, no label and no text; ``extra`` has
        ``video_id``, ``participant_id`` where its actions have one, and ``segments``,
        ``[start, end, {task: class}]`` of each action of the video, in seconds, that
        lies within :data:`AROUND` of the window.

        Args:
            records: of actions; ``group`` (or the file) tells their video.
            where: they are from, for errors.

        Raises:
            AnnotationError: an action without a label or behind the end of its video,
                or a video of unknown length.
        """
        videos: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for record in records:
            videos[_video_of(record)].append(record)
        return [
            window
            for name, actions in videos.items()
            for window in self._windows(name, actions, where)
        ]

    def _windows(
        self, name: str, actions: Sequence[Mapping[str, Any]], where: str
    ) -> list[dict]:
        duration = known_duration(actions[0])
        if duration is None:
            raise AnnotationError(
                f"{where}: the length of the video {name!r} is not known; untrimmed"
                " videos need duration_sec (EPIC_100_video_info.csv beside the csv"
                " files, before prepare.py), or total_frames and index_fps"
            )
        segments = [_segment(action, duration, where) for action in actions]
        base = {key: actions[0].get(key) for key in _OF_THE_VIDEO}
        extra = {"video_id": name}
        known = actions[0].get("extra") or {}
        for key in ("video_id", "participant_id", "chunk_seconds"):
            if key in known:
                extra[key] = known[key]
        made = []
        for start in self.starts(duration):
            end = duration if self.seconds is None else start + self.seconds
            end = min(end, duration)
            near = [
                one
                for one in segments
                if one[1] > start - AROUND and one[0] < end + AROUND
            ]
            made.append(
                {
                    **base,
                    "id": f"{name}@{start:.3f}",
                    "start_sec": start,
                    "end_sec": end,
                    "start_frame": None,
                    "end_frame": None,
                    "label": {},
                    "text": None,
                    "extra": {**extra, "segments": near},
                }
            )
        return made


def with_past(
    records: Sequence[Mapping[str, Any]], seconds: float, where: str
) -> list[dict]:
    """Records of actions with the labelled actions of their video that precede them.

    ``extra`` gets ``segments``, ``[start, end, {task: class}]`` of each that lies in
    the ``seconds`` before the record's start.

    Args:
        records: of actions; ``group`` (or the file) tells their video.
        seconds: above 0. where: the records are from, for errors.

    Raises:
        InputError: ``seconds`` is not above 0.
        AnnotationError: an action without a label or an end.
    """
    if not 0 < seconds < math.inf:
        raise InputError(f"past_seconds: got {seconds}; expected seconds above 0")
    videos: dict[str, list[list[Any]]] = defaultdict(list)
    for record in records:
        if record["end_sec"] is None:
            raise AnnotationError(
                f"{where}: {record['id']!r} has no end; past_seconds needs that of"
                " every action"
            )
        videos[_video_of(record)].append(_segment(record, math.inf, where))
    made = []
    for record in records:
        end = record["start_sec"]
        near = [
            one
            for one in videos[_video_of(record)]
            if one[0] < end and one[1] > end - seconds
        ]
        made.append({**record, "extra": {**(record["extra"] or {}), "segments": near}})
    return made


def _video_of(record: Mapping[str, Any]) -> str:
    return record["group"] or record["video"] or record["frame_dir"] or record["id"]


def with_background(classes: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Names of classes by task, :data:`BACKGROUND` after the last of each."""
    return {task: [*names, BACKGROUND] for task, names in classes.items()}


def _segment(action: Mapping[str, Any], duration: float, where: str) -> list[Any]:
    if not action["label"]:
        raise AnnotationError(
            f"{where}: {action['id']!r} has no label; the actions of an untrimmed video"
            " need theirs, else their frames would pass as background"
        )
    if action["start_sec"] >= duration:
        raise AnnotationError(
            f"{where}: {action['id']!r} starts at {action['start_sec']:g} s, and its"
            f" video has {duration:g} s; expected it within"
        )
    end = duration if action["end_sec"] is None else action["end_sec"]
    return [action["start_sec"], min(end, duration), action["label"]]
