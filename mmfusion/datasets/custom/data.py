"""A data set of one's own: where it is from, what was found, how it is written."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mmfusion.datasets.annotation import load_annotation, write_annotation
from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.datasets.conversion import ConversionReport, clear_temporaries
from mmfusion.datasets.custom.sequences import Timed
from mmfusion.datasets.splits import TEST_FRACTION, VAL_FRACTION
from mmfusion.layouts.landmarks import NOTHING_SAID, LandmarkOptions
from mmfusion.layouts.skeleton_arrays import SkeletonKind
from mmfusion.utils.errors import AnnotationError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.schema import shown

ANN_FILE = "annotation.json"
CACHES = "skeleton"
VIDEOS = "videos"


@dataclass(frozen=True)
class CustomSource:
    """A folder of clips, and what its user says about it.

    Attributes:
        folder: of the clips: with ``clips.csv``, or a folder for each class; or an npz
            of skeleton sequences.
        out: folder of the annotation to be.
        clips: the list of clips, where it is not ``folder/clips.csv``.
        hands: folder of landmarks, named as the videos.
        options: said about the landmarks.
        with_labels: False for clips that are to be predicted only.
        name: of the data set; None takes the folder's.
        split_by: ``field:NAME`` or ``mod:NAME:N:R``, of an npz of sequences.
        val_fraction, test_fraction, seed: of splits that are not given.
        drop_faulty: leave out clips whose files are faulty.
    """

    folder: Path
    out: Path
    clips: Path | None = None
    hands: Path | None = None
    options: LandmarkOptions = NOTHING_SAID
    with_labels: bool = True
    name: str | None = None
    split_by: str | None = None
    val_fraction: float = VAL_FRACTION
    test_fraction: float = TEST_FRACTION
    seed: int = 0
    drop_faulty: bool = False

    @property
    def is_npz(self) -> bool:
        """Tell whether it is one file of skeleton sequences."""
        return self.folder.suffix == ".npz" and not self.folder.is_dir()

    @property
    def title(self) -> str:
        """Name of the data set."""
        if self.name is None and self.is_npz:
            return self.folder.stem
        return self.name or os.path.basename(os.path.abspath(self.folder)) or "custom"


@dataclass
class CustomData:
    """An annotation to be, and what was found on the way.

    Attributes:
        source: folder and options that it is from.
        report: metainfo, records, faults and notes.
        videos: file, by its place to be, relative to ``source.out``.
        landmarks: of a sequence, by its cache to be, relative to ``source.out``.
    """

    source: CustomSource
    report: ConversionReport
    videos: dict[str, Path] = field(default_factory=dict)
    landmarks: dict[str, "Readable"] = field(default_factory=dict)

    @property
    def obstacle(self) -> str:
        """Reason not to write it, with the remedy; "" where there is none."""
        if self.report.faults:
            return "mend the faulty files, or go on without their clips: --drop-faulty"
        return "" if self.report.records else "there is no clip"


class Readable(Protocol):
    """Landmarks of a sequence, read when its cache is written.

    Attributes:
        group: of the records.
    """

    @property
    def group(self) -> str: ...

    def read(self, options: LandmarkOptions) -> Timed:
        """The landmarks, with the moment of each row."""
        ...


def write(data: CustomData, *, overwrite: bool = False) -> None:
    """Write the caches, then ``annotation.json``, then ``prepare.log``.

    Args:
        data: of :func:`gather`, without an obstacle.
        overwrite: replace the annotation of another data set.

    Raises:
        AnnotationError: there is one, and it is not to be replaced.
    """
    ann_file = data.source.out / ANN_FILE
    _check_replaced(ann_file, data.report, overwrite)
    kind = SkeletonKind.of(data.report.metainfo.get("skeleton"))
    used = {record["group"] for record in data.report.records}
    for cache, file in data.landmarks.items():
        if file.group not in used:
            continue
        timed = file.read(data.source.options)
        path = data.source.out / cache
        clear_temporaries(path.parent)
        write_skeleton_cache(
            path,
            keypoint=timed.landmarks.keypoint,
            valid=timed.landmarks.valid,
            frame_id=timed.frame_id,
            fps=timed.fps,
            sequence=file.group,
            kind=kind,
        )
    for name, path in data.videos.items():
        _place(path, data.source.out / name)
    write_annotation(ann_file, data.report.metainfo, data.report.records)
    text = f"in a config: {config_hint(data)}\n{data.report.text(every=True)}\n"
    write_atomic(data.source.out / "prepare.log", text.encode())


def config_hint(data: CustomData) -> str:
    """Keyword arguments of a config's dataset that read this annotation."""
    return f"data_root={str(data.source.out)!r}, ann_file={ANN_FILE!r}"


def one_class_note(classes: Sequence[str]) -> list[str]:
    """A warning where there is nothing to tell apart."""
    if len(classes) != 1:
        return []
    return [
        f"warning: all clips are of one class, {shown(classes[0])}: a model learns"
        " nothing from them; expected two classes at least"
    ]


def _place(video: Path, target: Path) -> None:
    """Make a video be in the data set, too: a second name, or elsewhere a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and _is_same(video, target):
        return
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(video.resolve(), temporary)
    except OSError:  # another file system, or one without such links
        shutil.copy2(video, temporary)
    os.replace(temporary, target)


def _is_same(first: Path, second: Path) -> bool:
    one, other = first.stat(), second.stat()
    copied = (one.st_size, one.st_mtime) == (other.st_size, other.st_mtime)
    return os.path.samestat(one, other) or copied


def _check_replaced(path: Path, report: ConversionReport, overwrite: bool) -> None:
    if not path.is_file():
        return
    metainfo, records = load_annotation(str(path))
    name = report.metainfo["dataset"]
    if metainfo["dataset"] != name and not overwrite:
        raise AnnotationError(
            f"{path} is the annotation of {metainfo['dataset']!r}; expected none, or"
            f" one of {name!r}: name another --out, or replace it by --overwrite"
        )
    report.notes.append(f"replaced: an annotation of {len(records)} clips")
