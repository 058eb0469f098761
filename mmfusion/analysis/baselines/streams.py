"""Plain numbers of a clip, stream by stream, that a linear model can read.

``n`` clips, ``d`` numbers of each, ``t`` times, ``h`` hands of ``j`` joints.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mmfusion.datasets.transforms import DecodeVideo, LoadSkeleton, SampleTimes
from mmfusion.utils.optional import import_optional

Array = NDArray[np.float64]
MOTION_TIMES = 16
MOTION_CELLS = (12, 16)  # rows, columns
_CELL = 5  # pixels of a cell's side
PATH_TIMES = 16
_READ_TIMES = 64  # at which hands are looked for, so that gaps are small
_BOTH = 0.05  # share of moments with two hands under which they are one


class StreamNumbers(Protocol):
    """One stream of a clip as plain numbers.

    Attributes:
        says: a few words on the numbers, for a table's note.
        pipeline: transforms that a clip goes through before :meth:`read`.
    """

    @property
    def says(self) -> str: ...
    @property
    def pipeline(self) -> Sequence[Mapping[str, Any]]: ...

    def read(self, results: Mapping[str, Any]) -> Any:
        """Things kept of a clip, from the pipeline's results."""
        ...

    def learn(self, clips: Sequence[Any]) -> Callable[[Sequence[Any]], Array]:
        """Function from m clips to (m, d), its choices made on training clips."""
        ...


class MotionMap:
    """Frame differences in coarse cells: the places of a clip that change, and when.

    Each colour's mean brightness is taken away, which exposure changes; of a pixel the
    colour that changes most counts. Of each time the median cell is taken away and the
    square root of each cell's share is kept, so that a camera that moves, or a faint
    hand, weighs no more and no less than others.
    """

    says = (
        f"differences of {MOTION_TIMES + 1} even frames in {MOTION_CELLS[0]} x"
        f" {MOTION_CELLS[1]} cells, as shares of each time"
    )
    pipeline = (
        dict(
            type=SampleTimes,
            num_frames=dict(video=MOTION_TIMES + 1),
            mode="uniform",
        ),
        dict(type=DecodeVideo),
    )

    def read(self, results: Mapping[str, Any]) -> NDArray[np.float32]:
        """(t * rows * columns,) of ``imgs``, t + 1 arrays (h, w, 3) uint8."""
        rows, columns = MOTION_CELLS
        size = columns * _CELL, rows * _CELL
        small = [
            cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
            for frame in results["imgs"]
        ]
        frames = np.stack(small).astype(np.float32)  # (t + 1, y, x, 3)
        frames -= frames.mean(axis=(1, 2), keepdims=True)
        change = np.abs(np.diff(frames, axis=0)).max(axis=3)  # (t, y, x)
        cells = change.reshape(len(change), rows, _CELL, columns, _CELL)
        cells = cells.mean(axis=(2, 4))  # (t, rows, columns)
        cells -= np.median(cells, axis=(1, 2), keepdims=True)
        cells = np.maximum(cells, 0.0)
        return np.sqrt(cells / (cells.sum(axis=(1, 2), keepdims=True) + 1e-3)).ravel()

    def learn(self, clips: Sequence[Any]) -> Callable[[Sequence[Any]], Array]:
        """Nothing is chosen: (m, t * rows * columns) of m clips."""
        return lambda wanted: np.stack(wanted).astype(np.float64)


class Words:
    """Words and pairs of words of a clip's questions, each there or not."""

    says = "words and pairs of words of the questions"
    pipeline: tuple[Mapping[str, Any], ...] = ()

    def read(self, results: Mapping[str, Any]) -> str:
        """All questions of a clip in one text."""
        text = results.get("text") or {}
        return " ".join(
            str(text[key]) for key in sorted(text) if key.endswith("_question")
        )

    def learn(self, clips: Sequence[Any]) -> Callable[[Sequence[Any]], Array]:
        """Take the commonest 2,000 of the training clips for the d columns."""
        module = import_optional(
            "sklearn.feature_extraction.text", "linear baselines of text"
        )
        words = module.CountVectorizer(
            binary=True,
            ngram_range=(1, 2),
            token_pattern=r"<mask>|\w+",
            max_features=2000,
        )
        words.fit(clips)
        return lambda wanted: words.transform(wanted).toarray().astype(np.float64)


class JointPaths:
    """Places of the joints at even times, and whether they are seen.

    Of joints in the picture the two axes of the picture are read, in space all three.
    Gaps are filled by straight lines in the data's own coordinates, so that the path
    stays; the clip's mean place is taken away, and kept as numbers of its own. Two
    hands of which training clips hardly ever show both at a time are taken for one,
    which a detector calls left here and right there.
    """

    says = (
        f"joints at {PATH_TIMES} even times from their mean place, gaps filled by"
        " straight lines"
    )
    pipeline = (
        dict(type=SampleTimes, num_frames=dict(skeleton=_READ_TIMES), mode="uniform"),
        dict(type=LoadSkeleton),
    )

    def read(self, results: Mapping[str, Any]) -> tuple[NDArray, NDArray]:
        """Joints (t, h, j, dims) and where they were seen (t, h, j), at many times."""
        in_picture = results["joints_frame"] in ("image", "pixels")
        dims = 2 if in_picture else results["joints_dims"]
        joints = results["joints"][0][..., :dims]
        return joints, results["joints_mask"][0]

    def learn(self, clips: Sequence[Any]) -> Callable[[Sequence[Any]], Array]:
        """See whether the training clips show two hands, or one under two names."""
        seen = np.concatenate([mask.any(axis=2) for _, mask in clips])  # (n t, h)
        some, all_ = seen.any(axis=1).sum(), seen.all(axis=1).sum()
        is_one = seen.shape[1] == 2 and all_ < _BOTH * some
        join = _as_one if is_one else (lambda joints, mask: (joints, mask))
        return lambda wanted: np.stack([_path(*join(*clip)) for clip in wanted])


def _as_one(joints: NDArray, mask: NDArray) -> tuple[NDArray, NDArray]:
    """(t, 1, j, dims) of (t, 2, j, dims): of both hands the one seen more."""
    best = mask.sum(axis=2).argmax(axis=1)  # (t,)
    row = np.arange(len(best))
    return joints[row, best][:, None], mask[row, best][:, None]


def _path(joints: NDArray, mask: NDArray) -> Array:
    """Numbers (d,) of one clip, joints (t, h, j, dims) and mask (t, h, j)."""
    count, hands, per_hand, dims = joints.shape
    wanted = (np.arange(PATH_TIMES) + 0.5) / PATH_TIMES * count - 0.5
    place = np.zeros((PATH_TIMES, hands, per_hand, dims))
    for hand, joint in np.ndindex(hands, per_hand):
        known = np.flatnonzero(mask[:, hand, joint])
        if len(known):
            for axis in range(dims):
                values = joints[known, hand, joint, axis]
                place[:, hand, joint, axis] = np.interp(wanted, known, values)
    near = np.rint(wanted).astype(int)
    seen = np.any(mask, axis=2)[near].astype(np.float64)  # (times, h)
    shown = np.any(mask, axis=0)  # (h, j), joints that the clip has
    middle = place[:, shown].mean(axis=(0, 1)) if shown.any() else np.zeros(dims)
    place = np.where(shown[..., None], place - middle, 0.0)
    parts = (place, middle, seen)
    return np.concatenate([part.reshape(-1) for part in parts])


STREAMS: dict[str, StreamNumbers] = {
    "video": MotionMap(),
    "skeleton": JointPaths(),
    "text": Words(),
}
