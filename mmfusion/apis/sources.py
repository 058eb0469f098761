"""Things to label: files, folders, arrays, a clip of a dataset."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.apis.windows import is_number
from mmfusion.datasets.annotation_schema import RECORD
from mmfusion.datasets.caches.skeleton_cache import load_skeleton_file
from mmfusion.datasets.clip_extent import clip_span
from mmfusion.datasets.media.array_video import ArrayVideo
from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.video_files import find_videos
from mmfusion.utils.errors import InputError, MediaError

HANDS_SUFFIX = ".npz"


@dataclass
class Source:
    """One thing to label, not opened yet.

    Attributes:
        name: as the results have it.
        value: a file, frames, or what the pipeline of a dataset starts with.
        relative: path below the folder that was given; the file's own name else.
    """

    name: str
    value: Path | np.ndarray | Mapping[str, Any]
    relative: Path = field(default_factory=Path)


@dataclass
class Clip:
    """A source that was opened.

    Attributes:
        name: as the results have it.
        start, end: seconds of the clip in its video.
        record: keys that a pipeline starts with; see ``MultiModalDataset``.
        array: the video, where it is in memory.
        from_dataset: hands and questions are those of the record.
        relative: see :class:`Source`.
    """

    name: str
    start: float
    end: float
    record: dict[str, Any]
    array: ArrayVideo | None = None
    from_dataset: bool = False
    relative: Path = field(default_factory=Path)

    @property
    def path(self) -> str | None:
        """Path of the video file, None where there is none."""
        return self.record.get("video_path")

    @property
    def has_pictures(self) -> bool:
        """Tell whether there is anything to look at."""
        known = self.path or self.record.get("frame_dir_path")
        return self.array is not None or bool(known)


Input = str | os.PathLike | np.ndarray | Mapping[str, Any]


def list_sources(inputs: Input | Sequence[Input]) -> list[Source]:
    """Every single thing to label in ``inputs``.

    Args:
        inputs: a video, a folder of videos (those in folders in it, too), frames
            (t, h, w, 3) uint8, what ``MultiModalDataset`` without a pipeline gives for
            a clip; or a list of these.

    Raises:
        InputError: nothing is given, a folder has no video, or it is none of these.
    """
    if isinstance(inputs, str | os.PathLike | np.ndarray | Mapping):
        inputs = [inputs]
    if not isinstance(inputs, Sequence) or not len(inputs):
        raise InputError(
            f"inputs is {_told(inputs)}; expected a path, an array of frames, or a"
            " list of some"
        )
    found: list[Source] = []
    for value in inputs:
        found += _sources_of(value, len(found))
    return found


def _sources_of(value: Input, number: int) -> list[Source]:
    if isinstance(value, Mapping):
        return [Source(str(value.get("sample_id", f"clip {number}")), value)]
    if isinstance(value, np.ndarray):
        return [Source(f"array {number}", value)]
    if not isinstance(value, str | os.PathLike):
        raise InputError(
            f"inputs has {_told(value)}; expected paths, or arrays (t, h, w, 3) uint8"
        )
    if not os.fspath(value):
        raise InputError("inputs has an empty path; expected a video, or a folder")
    path = Path(value)
    if not path.is_dir():
        return [Source(os.fspath(value), path, Path(path.name))]
    videos = find_videos(path)
    if not videos:
        raise InputError(f"folder {os.fspath(value)!r} has no video in it")
    return [Source(str(video), video, video.relative_to(path)) for video in videos]


def _told(value: Any) -> str:
    """The type of an input, and its shape, or what it is if that is short."""
    shape = getattr(value, "shape", None)
    text = f"a {type(value).__module__}.{type(value).__name__}"
    if shape is not None:
        return f"{text} of the shape {tuple(shape)}"
    text = type(value).__name__
    is_short = isinstance(value, str | bytes | int | float) or value is None
    return f"{text} {value!r:.60}" if is_short else text


def check_fps(fps: float | None, sources: Sequence[Source]) -> None:
    """Refuse a rate that is none, or that no source waits for.

    Raises:
        InputError: says which.
    """
    if fps is None:
        return
    if not is_number(fps) or not 0 < fps < np.inf:
        raise InputError(f"fps is {fps!r:.60}; expected frames per second above 0")
    if not any(isinstance(source.value, np.ndarray) for source in sources):
        raise InputError(
            f"fps is {fps}, and {sources[0].name} is no array of frames: a file says"
            " its own rate; leave fps out"
        )


def open_source(source: Source, fps: float | None) -> Clip:
    """Open a source far enough to know how long it is.

    Args:
        fps: frames per second of frames in memory.

    Raises:
        MediaError: the file cannot be read.
        InputError: an array that is no video, or has no ``fps``.
    """
    value = source.value
    if isinstance(value, Mapping):
        if "start_sec" not in value or "ann_meta" not in value:
            raise InputError(
                f"inputs has an object with the keys {sorted(value)!s:.80}; expected"
                " what MultiModalDataset(pipeline=[]) gives for a clip"
            )
        start, end = clip_span(dict(value), ["video"])
        return Clip(source.name, start, end, dict(value), None, True, source.relative)
    if isinstance(value, np.ndarray):
        if fps is None:
            raise InputError(
                f"fps is not given for {source.name}; expected frames per second, as"
                " the array does not say them"
            )
        array = ArrayVideo(value, fps, source.name)
        record = _record(source.name, index_fps=fps, video_data=array)
        end = array.duration
        return Clip(source.name, 0.0, end, {**record, "duration_sec": end}, array)
    path = os.path.abspath(value)
    if path.endswith(HANDS_SUFFIX):
        hands = load_skeleton_file(path)
        end = float(hands.frame_id[-1] + 1) / (hands.fps or 30.0)
        record = _record(source.name, skeleton_path=path, duration_sec=end)
        return Clip(source.name, 0.0, end, record, relative=source.relative)
    end = read_index(path).duration
    record = _record(source.name, video_path=path)
    return Clip(source.name, 0.0, end, record, relative=source.relative)


def _record(name: str, **found: Any) -> dict[str, Any]:
    """Keys that a dataset gives its pipeline, for a video that no dataset knows."""
    # the schema wants one stream with a plain name; its real place is in ``found``
    plain = dict(id=name, video="video", start_sec=0.0, end_sec=None, label={})
    try:
        record = RECORD.completed(plain)
    except InputError as error:
        raise MediaError(repr(name), f"its name: {error}; rename it") from None
    if found.get("video_path") is None:
        record["video"] = None
    streams = ("video", "frame_dir", "skeleton", "boxes")
    paths = {f"{stream}_path": None for stream in streams}
    rest = dict(sample_id=name, outside="raise", path_roots=None, skeleton_data=None)
    return {**record, **paths, **rest, **found}
