"""Hands of video files, written as skeleton caches."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.datasets.caches.skeleton_cache import read_valid, write_skeleton_cache
from mmfusion.datasets.media.video_files import VIDEO_SUFFIXES, find_videos
from mmfusion.datasets.media.video_io import VideoReader, open_video
from mmfusion.hands.tracks import (
    ONE_HAND_SKELETON,
    SKELETON,
    HandExtractor,
    HandTracks,
)
from mmfusion.layouts.skeleton_arrays import SkeletonKind
from mmfusion.utils.errors import InputError, MediaError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import read_json

KINDS = {2: SkeletonKind.of(SKELETON), 1: SkeletonKind.of(ONE_HAND_SKELETON)}
_ANY_HANDS = replace(KINDS[2], hands=None)
SETTINGS = "extract.json"  # in the folder of the caches: how they were made


def extract_video(
    video: str | Path,
    out_npz: str | Path,
    extractor: HandExtractor,
    *,
    every: int = 1,
    sequence: str | None = None,
) -> HandTracks:
    """Find the hands of a video and write them as a skeleton cache.

    The cache is whole or not there. Its frame numbers count at the video's average
    rate; of a video of changing rate, a frame that falls on the number of the one
    before is left out.

    Args:
        video: a local file; it is decoded as players show it, in constant memory.
        out_npz: the cache to write; its folder is made.
        extractor: such as :class:`mmfusion.hands.MediaPipeHands`.
        every: use one frame of so many.
        sequence: the ``group`` of the records that may use it; the video's name
            without its suffix if None.

    Returns:
        What was written.

    Raises:
        VideoDecodeError: the video cannot be decoded.
    """
    reader = open_video(video)
    frame_id, rows = _frame_ids(reader, every)
    found = extractor(_thinned(reader, every))
    tracks = replace(
        found,
        keypoint=found.keypoint[rows],
        valid=found.valid[rows],
        score=found.score[rows],
        frame_id=frame_id,
    )
    write_skeleton_cache(
        Path(out_npz),
        keypoint=tracks.keypoint,
        valid=tracks.valid,
        frame_id=tracks.frame_id,
        score=tracks.score,
        fps=reader.fps,
        sequence=_sequence_of(video, sequence),
        kind=KINDS[tracks.keypoint.shape[1]],
    )
    return tracks


def read_extracted(
    video: str | Path,
    out_npz: str | Path,
    *,
    every: int = 1,
    sequence: str | None = None,
) -> np.ndarray | None:
    """The mask (t, h) of a complete cache of this video; None: it must be written.

    Raises:
        VideoDecodeError: the video cannot be opened.
    """
    if not Path(out_npz).is_file():
        return None
    frame_id, _ = _frame_ids(open_video(video), every)
    return read_valid(
        Path(out_npz), _sequence_of(video, sequence), frame_id, _ANY_HANDS
    )


def _sequence_of(video: str | Path, sequence: str | None) -> str:
    return Path(video).stem if sequence is None else sequence


def _frame_ids(reader: VideoReader, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers (t,), and the places (t,) of these frames among those used."""
    if every < 1:
        raise InputError(f"every is {every!r}, expected 1 or more")
    numbers = np.rint(reader.times[::every] * reader.fps).astype(np.int64)
    return np.unique(numbers, return_index=True)


def _thinned(reader: VideoReader, every: int) -> Iterator[np.ndarray]:
    for number, frame in enumerate(reader.stream()):
        if number % every == 0:
            yield frame


@dataclass(frozen=True)
class Job:
    """A video and the cache to write of it.

    Attributes:
        video: the file. name: its path below the folder that was given, no suffix.
        target: the cache.
    """

    video: Path
    name: str
    target: Path


@dataclass(frozen=True)
class Outcome:
    """Result of one video.

    Attributes:
        job: which. valid: (t, h) bool, None where the video is broken. kept: True if
            the cache was there. error: why it is broken.
    """

    job: Job
    valid: np.ndarray | None = None
    kept: bool = False
    error: str | None = None


def plan_jobs(sources: Sequence[str | Path], out: str | Path) -> list[Job]:
    """One job for each video of files and folders.

    Args:
        sources: videos, and folders that are searched with all below them.
        out: folder of the caches; ``a/b.mp4`` of a folder becomes ``OUT/a/b.npz``.

    Raises:
        InputError: a source is not there or has no video, or two caches would be one.
    """
    jobs: dict[Path, Job] = {}
    for source in map(Path, sources):
        videos = _videos_of(source)
        root = source if source.is_dir() else source.parent
        for video in videos:
            name = video.relative_to(root).with_suffix("").as_posix()
            target = Path(out, f"{name}.npz")
            job = jobs.setdefault(target, Job(video, name, target))
            if job.video.resolve() != video.resolve():
                raise InputError(
                    f"{job.video} and {video} would both be written to {target}; give"
                    " them an --out each"
                )
    return list(jobs.values())


def _videos_of(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise InputError(f"{source} is not there; expected a video or a folder of them")
    videos = find_videos(source)
    if not videos:
        raise InputError(f"{source} has no video (known: {' '.join(VIDEO_SUFFIXES)})")
    return videos


def extract_videos(
    jobs: Sequence[Job], extractor: HandExtractor, *, every: int = 1
) -> Iterator[Outcome]:
    """Write the caches of many videos; those that are complete already are kept.

    Args:
        jobs: see :func:`plan_jobs`; the name of each is the cache's sequence.
        extractor, every: see :func:`extract_video`.

    Yields:
        Results, video by video; a broken one is no error.
    """
    for job in jobs:
        try:
            valid = read_extracted(
                job.video, job.target, every=every, sequence=job.name
            )
            kept = valid is not None
            if valid is None:
                valid = extract_video(
                    job.video, job.target, extractor, every=every, sequence=job.name
                ).valid
            outcome = Outcome(job, valid, kept)
        except MediaError as error:
            outcome = Outcome(job, error=str(error))
        yield outcome


def check_settings(out: str | Path, settings: Mapping[str, Any]) -> None:
    """Remember in ``out`` how its caches are made, and refuse to mix.

    Args:
        out: folder of the caches. settings: plain values.

    Raises:
        InputError: the caches there were made otherwise; names the setting.
    """
    path = Path(out, SETTINGS)
    if path.is_file():
        before = read_json(path, error_type=InputError)
        if not isinstance(before, dict):
            raise InputError(f"{path} is no table of settings; delete it")
        for name, value in settings.items():
            if before.get(name) != value:
                raise InputError(
                    f"{out} was made with {name} {before.get(name)!r}, now it is"
                    f" {value!r}; use another --out, or delete that folder"
                )
        return
    write_atomic(path, (json.dumps(dict(settings), indent=1) + "\n").encode())
