"""One door to files of landmarks."""

from pathlib import Path

from mmfusion.layouts.landmarks.kinds import NOTHING_SAID, LandmarkOptions, Landmarks
from mmfusion.layouts.skeleton_arrays import SkeletonKind, check_skeleton
from mmfusion.utils.errors import SkeletonError
from mmfusion.utils.npz_file import read_npz

LANDMARK_SUFFIXES = (".npz",)
MAX_BYTES = 2 * 2**30  # of one file, unpacked
_IMAGE_HANDS = {
    "layout": "mediapipe",
    "hands": ["left", "right"],
    "unit": "image",
    "frame": "image",
    "dims": 3,
}


def read_landmarks(path: Path, options: LandmarkOptions = NOTHING_SAID) -> Landmarks:
    """Landmarks of one video, whatever the kind of the file.

    Raises:
        SkeletonError: names the file, what came and what was expected.
    """
    skeleton = {**_IMAGE_HANDS, **options.skeleton}
    arrays = read_npz(str(path), max_bytes=MAX_BYTES, error=SkeletonError)
    found = check_skeleton(str(path), arrays, SkeletonKind.of(skeleton))
    return Landmarks(
        "skeleton cache",
        skeleton,
        found.keypoint,
        found.valid,
        found.frame_id,
        found.fps or options.fps,
    )


def find_landmarks(video: Path) -> Path | None:
    """The file of landmarks beside a video, or in the folder ``hands`` beside it."""
    for folder in (video.parent, video.parent / "hands"):
        for suffix in LANDMARK_SUFFIXES:
            path = folder / f"{video.stem}{suffix}"
            if path.exists():
                return path
    return None
