"""EgoGestAR's clips: github.com/varunj/EgoGestAR, folder ``testvideo``.

Ten gestures drawn in the air before a moving camera, 22 clips each, and 20 clips of
other movements. A file's name says its class: ``testvideo_del_3.mp4``.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from mmfusion.utils.errors import MissingDataError

FOLDER = "testvideo"
UNCLASSIFIED = "unclassified"
GESTURES = (
    *("carret", "circlecc", "del", "down", "left"),
    *("right", "square", "star", "tick", "up"),
)
CLASS_OF = {"carret": "caret"}  # the source's spelling, in its file names only
NUM_CLIPS = dict.fromkeys(GESTURES, 22) | {UNCLASSIFIED: 20}
_NAME = re.compile(r"testvideo_([a-z]+)_([1-9][0-9]*)\.mp4")
_LFS = b"version https://git-lfs"


@dataclass(frozen=True)
class EgoGestARClips:
    """Files of a clone.

    Attributes:
        folder: that has them. label: class by file name, of the files that are there.
        lost: names that the publication has and the clone has not.
        broken: reason by name, of files that are there and no video.
        unknown: other files.
    """

    folder: Path
    label: dict[str, str]
    lost: list[str]
    broken: dict[str, str]
    unknown: list[str]


def list_clips(root: Path) -> EgoGestARClips:
    """Find the clips of a clone, or of a folder that holds them alone.

    Raises:
        MissingDataError: there is no such folder, or no clip in it.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    if not folder.is_dir():
        raise MissingDataError(f"{folder} is no folder; expected a clone of EgoGestAR")
    found = sorted(path.name for path in folder.iterdir() if path.is_file())
    label = {name: label_of(name) for name in found}
    known = {name: one for name, one in label.items() if one is not None}
    if not known:
        raise MissingDataError(
            f"{folder} has no clip; expected testvideo_<gesture>_<number>.mp4, as git"
            " clone https://github.com/varunj/EgoGestAR brings them"
        )
    named = [
        f"testvideo_{name}_{number}.mp4"
        for name, count in NUM_CLIPS.items()
        for number in range(1, count + 1)
    ]
    return EgoGestARClips(
        folder,
        known,
        [name for name in named if name not in known],
        {name: why for name in known if (why := _fault(folder / name)) is not None},
        [name for name in found if name not in known],
    )


def label_of(name: str) -> str | None:
    """Class that a file's name says; None for another kind of file."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in NUM_CLIPS:
        return None
    return CLASS_OF.get(match[1], match[1])


def _fault(path: Path) -> str | None:
    """Reason why a file is no video that can be told without decoding it."""
    with path.open("rb") as file:
        head = file.read(len(_LFS))
    if not head:
        return "it is empty"
    if head == _LFS:
        return "it is a pointer of Git LFS: git lfs pull brings the video"
    return None
