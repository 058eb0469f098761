"""One door to files of landmarks."""

from collections.abc import Callable
from pathlib import Path

from mmfusion.layouts.landmarks.arrays import read_npy_landmarks, read_npz_landmarks
from mmfusion.layouts.landmarks.frames_json import (
    OPENPOSE_FILES,
    read_frames_json,
    read_openpose,
)
from mmfusion.layouts.landmarks.kinds import (
    NOTHING_SAID,
    LandmarkOptions,
    Landmarks,
    RawLandmarks,
    checked,
)
from mmfusion.layouts.landmarks.tables import read_table
from mmfusion.utils.errors import SkeletonError

_READERS: dict[str, Callable[[Path, LandmarkOptions], RawLandmarks]] = {
    ".npz": read_npz_landmarks,
    ".npy": read_npy_landmarks,
    ".json": read_frames_json,
    ".csv": read_table,
}
LANDMARK_SUFFIXES = tuple(_READERS)


def read_landmarks(path: Path, options: LandmarkOptions = NOTHING_SAID) -> Landmarks:
    """Landmarks of one video, whatever the kind of the file.

    Args:
        path: a file, or a folder of OpenPose's files.
        options: what the user says about it.

    Raises:
        SkeletonError: names the file, what came and what was expected.
    """
    if not path.exists():
        raise SkeletonError(str(path), "there is no such file")
    if path.is_dir():
        raw = read_openpose(path, options)
    elif path.suffix.lower() in _READERS:
        if path.is_file() and not path.stat().st_size:
            raise SkeletonError(str(path), "the file is empty")
        raw = _READERS[path.suffix.lower()](path, options)
    else:
        raise SkeletonError(
            str(path),
            f"expected a file {', '.join(LANDMARK_SUFFIXES)}, or a folder with"
            f" {OPENPOSE_FILES}",
        )
    return checked(str(path), raw, options)


def find_landmarks(video: Path) -> Path | None:
    """Landmarks beside a video, or in the folder ``hands`` beside it.

    Args:
        video: of which the folder and the name without its suffix count; it need not
            be there.
    """
    for folder in (video.parent, video.parent / "hands"):
        for suffix in LANDMARK_SUFFIXES:
            path = folder / f"{video.stem}{suffix}"
            if path.is_file():
                return path
        path = folder / video.stem
        if path.is_dir() and any(path.glob(OPENPOSE_FILES)):
            return path
    return None
