"""Hands of a clip: given, found beside the video, or found in its frames."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.apis.sources import HANDS_SUFFIX, Clip
from mmfusion.datasets.caches.skeleton_cache import load_skeleton_file
from mmfusion.datasets.media.video_io import open_video
from mmfusion.datasets.media.video_reader import VideoReader
from mmfusion.hands import (
    ONE_HAND_SKELETON,
    SKELETON,
    HandExtractor,
    HandModelError,
    HandTracks,
    MediaPipeHands,
)
from mmfusion.layouts.skeleton_arrays import SkeletonFile, SkeletonKind, check_skeleton
from mmfusion.utils.errors import InputError, MissingPackageError, SkeletonError

AUTO, EXTRACT = "auto", "extract"
SLACK = 0.5  # seconds by which hands and their video may differ in length
_FPS = 30.0  # of frame numbers that say no rate

Given = str | os.PathLike | np.ndarray | Mapping[str, Any] | HandTracks | None


@dataclass(frozen=True)
class FoundHands:
    """Hands of one clip, or the reason why there are none.

    Attributes:
        data: None where there are none.
        source: ``given``, ``extracted``, the path of a file, or None.
        note: why there are none, or None.
    """

    data: SkeletonFile | None
    source: str | None
    note: str | None = None

    @property
    def share(self) -> float | None:
        """Share of the frames in which a hand is seen, 0 to 1."""
        if self.data is None:
            return None
        valid = self.data.valid
        return float(valid.reshape(len(valid), -1).any(axis=1).mean())


class HandFinder:
    """Hands of any clip for a model that reads hands of one kind.

    Args:
        skeleton: the kind, ``metainfo.skeleton`` of the model's training data.
        extractor: what finds hands in frames; MediaPipe's models if None.
    """

    def __init__(
        self, skeleton: Mapping[str, Any] | None, extractor: HandExtractor | None
    ) -> None:
        self.skeleton = dict(skeleton or {})
        self.kind = SkeletonKind.of(self.skeleton)
        self._extractor = extractor

    def __call__(self, clip: Clip, given: Given) -> FoundHands:
        """Hands of a clip.

        Args:
            given: ``"auto"`` looks beside the video, then into its frames;
                ``"extract"`` into its frames; a file, a folder of files named as the
                videos, joints (t, h, j, 3) with one row a frame, the arrays of a
                skeleton cache, what an extractor gave; None: no hands.

        Raises:
            SkeletonError: the hands cannot be read, are of another kind than the
                model's, or of another clip.
            InputError: ``given`` is none of these.
        """
        if given is None:
            return FoundHands(None, None, "none were given (hands=None)")
        if isinstance(given, str) and given == AUTO:
            return self._automatic(clip)
        if isinstance(given, str) and given == EXTRACT:
            return FoundHands(self._extract(clip), "extracted")
        if isinstance(given, str | os.PathLike):
            return self._of_path(clip, Path(given))
        if isinstance(given, HandTracks):
            self._check_extracted(clip)
            given = self._as_read(given)
            given = dict(
                keypoint=given.keypoint, valid=given.valid, frame_id=given.frame_id
            )
        if isinstance(given, np.ndarray):
            given = {"keypoint": given}
        if not isinstance(given, Mapping):
            raise InputError(
                f"hands is {type(given).__name__}; expected 'auto', 'extract', a path,"
                " joints (t, h, j, 3), or None"
            )
        return FoundHands(self._of_arrays(clip, given), "given")

    @property
    def _reads_one(self) -> bool:
        return self.skeleton.get("hands") == ONE_HAND_SKELETON["hands"]

    def _as_read(self, tracks: HandTracks) -> HandTracks:
        """Hands of an extractor in the places that the model reads."""
        return tracks.as_one_hand() if self._reads_one else tracks

    def none_seen(self, clip: Clip, rate: float) -> SkeletonFile:
        """Hands that are seen in no frame of a clip, ``rate`` rows a second."""
        kind = self.kind
        if kind.hands is None or kind.num_joints is None:
            raise InputError(
                "the model's card says neither hands nor joints of its skeletons, so"
                " that a clip cannot do without them; give hands"
            )
        num = int(np.ceil(clip.end * rate)) + 1
        shape = (num, len(kind.hands), kind.num_joints, 3)
        arrays = {"keypoint": np.zeros(shape, np.float32)}
        return check_skeleton(clip.name, arrays, kind)

    def _automatic(self, clip: Clip) -> FoundHands:
        beside = clip.record.get("skeleton_path") or _beside(clip)
        if beside is not None:
            return self._of_path(clip, Path(beside))
        reason = unlike_extracted(self.skeleton)
        if reason is not None:
            return FoundHands(None, None, f"no file beside the video, and {reason}")
        try:
            return FoundHands(self._extract(clip), "extracted")
        except (MissingPackageError, HandModelError) as error:
            return FoundHands(None, None, f"no file beside the video, and {error}")

    def _of_path(self, clip: Clip, path: Path) -> FoundHands:
        if path.is_dir():
            path = path / clip.relative.with_suffix(HANDS_SUFFIX)
        data = load_skeleton_file(str(path), self.kind)
        self._check_length(str(path), data, clip, data.fps or rate_of(clip))
        return FoundHands(data, str(path))

    def _of_arrays(self, clip: Clip, arrays: Mapping[str, Any]) -> SkeletonFile:
        name = f"hands of {clip.name}"
        arrays = dict(arrays)
        keypoint = arrays.get("keypoint")
        if "frame_id" not in arrays and "fps" not in arrays and keypoint is not None:
            frames = _frames_of(clip)
            if frames is not None and len(keypoint) != frames:
                raise SkeletonError(
                    name,
                    f"{len(keypoint)} rows and the video has {frames} frames; expected"
                    " one row a frame, or frame_id and fps with them",
                )
        arrays.setdefault("fps", rate_of(clip))
        data = check_skeleton(name, arrays, self.kind)
        self._check_length(name, data, clip, float(arrays["fps"]))
        return data

    def _check_length(
        self, name: str, data: SkeletonFile, clip: Clip, rate: float
    ) -> None:
        """Refuse hands that end elsewhere than their video."""
        end = float(data.frame_id[-1] + 1) / rate
        if abs(end - clip.end) > SLACK:
            raise SkeletonError(
                name,
                f"its hands end at {end:.2f} s ({rate:g} frames a second) and"
                f" {clip.name} at {clip.end:.2f} s; expected hands of this clip",
            )

    def _check_extracted(self, clip: Clip) -> None:
        reason = unlike_extracted(self.skeleton)
        if reason is not None:
            raise SkeletonError(
                f"hands of {clip.name}",
                f"{reason}: expected a file of the model's kind, as hands=PATH",
            )

    def _extract(self, clip: Clip) -> SkeletonFile:
        self._check_extracted(clip)
        if self._extractor is None:
            self._extractor = MediaPipeHands(one_hand=self._reads_one)
        video = _video_of(clip)
        tracks = self._as_read(self._extractor(video.stream()))
        numbers = np.rint(video.times * video.fps).astype(np.int64)
        frame_id, rows = np.unique(numbers, return_index=True)  # (t,)
        arrays = dict(
            keypoint=tracks.keypoint[rows],
            valid=tracks.valid[rows],
            frame_id=frame_id,
            fps=video.fps,
        )
        return check_skeleton(f"hands of {clip.name}", arrays, self.kind)


def unlike_extracted(skeleton: Mapping[str, Any]) -> str | None:
    """Reason why hands found in frames are not those that a model reads, or None.

    Args:
        skeleton: of the data that the model was trained with.
    """
    for found in (SKELETON, ONE_HAND_SKELETON):
        if skeleton.get("layout") == found["layout"] and all(
            skeleton.get(key) in (None, found[key])
            for key in ("unit", "frame", "hands")
        ):
            return None
    return (
        f"the model reads hands of {_told(skeleton)}; those found in frames are of"
        f" {_told(SKELETON)}"
    )


def _told(skeleton: Mapping[str, Any]) -> str:
    keys = ("layout", "unit", "frame")
    return ", ".join(f"{key} {skeleton.get(key) or 'not told'}" for key in keys)


def _beside(clip: Clip) -> str | None:
    """File of hands with the video's name, in its folder or in ``hands`` there."""
    if clip.path is None:
        return None
    video = Path(clip.path)
    for folder in (video.parent, video.parent / "hands"):
        path = folder / f"{video.stem}{HANDS_SUFFIX}"
        if path.is_file():
            return str(path)
    return None


def _video_of(clip: Clip) -> VideoReader:
    if clip.array is not None:
        return clip.array
    if clip.path is None:
        raise InputError(f"{clip.name} has no video; expected one to find hands in")
    return open_video(clip.path)


def _frames_of(clip: Clip) -> int | None:
    known = clip.array is not None or clip.path is not None
    return _video_of(clip).num_frames if known else None


def rate_of(clip: Clip) -> float:
    """Frames per second of a clip's video; 30 where there is none."""
    known = clip.array is not None or clip.path is not None
    return _video_of(clip).fps if known else _FPS
