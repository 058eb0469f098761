"""Clips of a folder as training reads them: splits, hands, small copies, annotation."""

import csv
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.analysis.own_clips.plan import SHORT_SIDE, TryOptions
from mmfusion.datasets.annotation import load_annotation, write_annotation
from mmfusion.datasets.custom import ANN_FILE, CustomSource, gather, write
from mmfusion.datasets.custom.sequences import open_video_facts
from mmfusion.datasets.media.video_encoding import EncodeSettings
from mmfusion.datasets.media.video_files import VIDEO_SUFFIXES
from mmfusion.datasets.media.video_preparation import Job as CopyJob
from mmfusion.datasets.media.video_preparation import OutputFolder, run_jobs
from mmfusion.datasets.splits import LoneClipError
from mmfusion.hands import (
    ONE_HAND_SKELETON,
    SKELETON,
    HandModelError,
    MediaPipeHands,
)
from mmfusion.hands.extraction import Job as HandsJob
from mmfusion.hands.extraction import extract_videos
from mmfusion.layouts.clip_list import (
    CLIP_LIST,
    COLUMNS,
    ClipRow,
    list_clip_folders,
    read_clip_list,
)
from mmfusion.layouts.landmarks import LANDMARK_SUFFIXES
from mmfusion.utils.errors import (
    AnnotationError,
    InputError,
    MissingPackageError,
    WorkDirError,
)
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import read_bytes

PREPARED, HANDS, VIDEOS = "data", "hands", "videos"  # folders in --out
_PARTS_LIST = "parts.csv"
_FEW_HANDS = 0.2  # share of a clip's frames

# told: (what, number done, of how many)
Tell = Callable[[str, int, int], None]


@dataclass
class OwnData:
    """Clips of a folder, on the way to an annotation.

    Attributes:
        options: of the command.
        metainfo: of the annotation to be.
        records: of it, with paths that count from ``root``.
        root: folder that their files are in.
        extract: no clip has landmarks, and they are to be extracted.
        notes: sentences for the page.
        changed: True once the records' files are those in ``options.out``.
    """

    options: TryOptions
    metainfo: dict[str, Any]
    records: list[dict[str, Any]]
    root: Path
    extract: bool
    notes: list[str] = field(default_factory=list)


def gather_data(options: TryOptions, *, write_caches: bool = True) -> OwnData:
    """Read and check the clips of a folder; an annotation in it is taken as it is.

    Args:
        options: of the command.
        write_caches: write the annotation of ``tools/data/custom/prepare.py``, and the
            skeleton caches; False only looks.

    Raises:
        MMFusionError: a file, a row or a class is wrong; nothing is written then.
    """
    options.check()
    ready = options.folder / ANN_FILE
    listed = (options.folder / CLIP_LIST).is_file()
    if ready.is_file() and not listed and options.parts is None:
        metainfo, records = load_annotation(str(ready))
        notes = [f"Splits are those of {ready}."]
        root = options.folder
    else:
        metainfo, records, root, notes = _prepare(options, write_caches)
    _check_labels(records, options.folder)
    has_hands = any(record.get("skeleton") for record in records)
    has_video = any(record.get("video") for record in records)
    extract = options.with_hands and has_video and not has_hands
    return OwnData(options, metainfo, records, root, extract, notes)


def _prepare(
    options: TryOptions, write_caches: bool
) -> tuple[dict[str, Any], list[dict], Path, list[str]]:
    """Metainfo, records, their root and notes, by the library of the prepare tool."""
    with tempfile.TemporaryDirectory() as scratch:
        clips = None
        if options.parts is not None:
            clips = (options.out if write_caches else Path(scratch)) / _PARTS_LIST
            write_atomic(clips, _as_csv(_cut(options)).encode())
        source = CustomSource(
            options.folder,
            options.out / PREPARED,
            clips=clips,
            hands=options.hands,
            seed=options.seed,
            drop_faulty=options.drop_faulty,
        )
        try:
            data = gather(source)
        except LoneClipError as error:
            raise InputError(
                f"{error}; or give --parts 5, which cuts each video into five clips"
            ) from None
    if data.obstacle:
        faults = data.report.faults
        more = f" ({len(faults)} such)" if len(faults) > 1 else ""
        what = f"{faults[0]}{more}" if faults else str(options.folder)
        raise AnnotationError(f"{what}: {data.obstacle}")
    if options.parts is None:
        notes = [
            note
            for note in data.report.notes
            if not note.startswith(
                ("videos to link", "videos without landmarks", "no landmarks")
            )
        ]
    else:
        _split_parts(data.report.records, options.parts)
        notes = [
            f"Each video was cut into {options.parts} clips of equal length: the first"
            " ones are trained on, later ones chose the epoch, the last were tested."
            " Tested clips come from videos that were trained on: the figures say"
            " nothing about new videos."
        ]
    if write_caches:
        # without the videos: small copies take their place
        write(replace(data, videos={}), overwrite=True)
    for record in data.report.records:
        if record.get("video"):
            record["video"] = str(data.videos[record["video"]].absolute())
    notes = [note[0].upper() + note[1:] for note in notes]
    return data.report.metainfo, data.report.records, source.out, notes


def _cut(options: TryOptions) -> list[ClipRow]:
    """The parts of each video, in time."""
    folder, parts = options.folder, options.parts or 1
    path = folder / CLIP_LIST
    if path.is_file():
        rows = read_clip_list(path).rows
    else:
        rows = list_clip_folders(folder, VIDEO_SUFFIXES, LANDMARK_SUFFIXES).rows
    found = []
    for number, row in enumerate(rows):
        if row.video is None:
            raise InputError(f"{row.place}: --parts cuts videos; expected a video")
        end = row.end or open_video_facts(folder / row.video).duration
        edges = np.linspace(row.start or 0.0, end, parts + 1).tolist()
        # splits by video, for now: _split_parts sets those of the clips
        split = "train" if number == 0 else "test"
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            found.append(
                ClipRow(
                    row.place,
                    row.video,
                    row.label,
                    round(first, 3),
                    round(last, 3),
                    split,
                    row.subject,
                    row.hands,
                )
            )
    return found


def _split_parts(records: Sequence[dict], parts: int) -> None:
    """Train on the first parts of a video, choose by later ones, test the last."""
    apart = max(1, round(0.2 * parts))
    names = ["train"] * (parts - 2 * apart) + ["val"] * apart + ["test"] * apart
    by_video: dict[str, list[dict]] = {}
    for record in sorted(records, key=lambda record: record["start_sec"]):
        by_video.setdefault(record["group"], []).append(record)
    for own in by_video.values():
        for place, record in enumerate(own):
            record["split"] = names[place * parts // len(own)]


def _as_csv(rows: Sequence[ClipRow]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        cells = [getattr(row, name) for name in COLUMNS]
        writer.writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue()


def _check_labels(records: Sequence[dict], folder: Path) -> None:
    """Refuse clips from which nothing can be learned or tested.

    Raises:
        AnnotationError: no labels, one class, or a split that is empty.
    """
    bare = [record["id"] for record in records if "action" not in record["label"]]
    if bare:
        raise AnnotationError(
            f"{folder}: {len(bare)} of {len(records)} clips have no label of 'action',"
            f" such as {bare[0]!r}; give each a label, or predict them with"
            " tools/infer.py"
        )
    classes = {record["label"]["action"] for record in records}
    if len(classes) < 2:
        raise AnnotationError(
            f"{folder}: all {len(records)} clips have one class; expected two or more"
        )
    for split in ("train", "test"):
        if not any(record["split"] == split for record in records):
            found = sorted({str(record["split"]) for record in records})
            raise AnnotationError(
                f"{folder}: no clip is in the split {split!r}, all are in"
                f" {', '.join(found)}; leave the column 'split' out to have splits"
                " made, or fill it"
            )


def build_data(data: OwnData, tell: Tell) -> None:
    """Extract hands, write small copies and the annotation that training reads.

    What is there already is kept, so that a run that was cut off goes on.

    Args:
        data: of :func:`gather_data`; its records then name files in ``options.out``.
        tell: is told of progress.

    Raises:
        MMFusionError: a video cannot be read, or the clips are others than before.
    """
    out = data.options.out
    if data.extract:
        _extract_hands(data, tell)
    _drop_incomplete(data)
    _take_skeletons(data)
    _copy_videos(data, tell)
    extra = {**(data.metainfo.get("extra") or {}), "notes": data.notes}
    metainfo = {**data.metainfo, "extra": extra}
    path = out / ANN_FILE
    if path.is_file() and (out / "runs").is_dir():
        _check_same_clips(path, data.records)
    write_annotation(path, metainfo, data.records)


def _extract_hands(data: OwnData, tell: Tell) -> None:
    """Caches by MediaPipe; without a hand anywhere, or without models, none."""
    one_hand = data.options.one_hand
    skeleton = ONE_HAND_SKELETON if one_hand else SKELETON
    try:
        extractor = MediaPipeHands(data.options.models, one_hand=one_hand)
    except (HandModelError, MissingPackageError) as error:
        reason = str(error).splitlines()[0]
        data.notes.append(f"No hands: {reason}. Only RGB was trained.")
        return
    videos = {record["group"]: record["video"] for record in data.records}
    jobs = [
        HandsJob(data.root / video, group, data.options.out / _hands_file(group))
        for group, video in videos.items()
        if video
    ]
    _check_targets(jobs)
    seen: dict[str, np.ndarray] = {}
    for number, outcome in enumerate(extract_videos(jobs, extractor), start=1):
        if outcome.valid is None:
            raise AnnotationError(
                f"{outcome.error}; mend the video, or go on without its clips:"
                " --drop-faulty"
            )
        if outcome.valid.shape[1] != len(skeleton["hands"]):
            before = "without" if one_hand else "with"
            raise InputError(
                f"{outcome.job.target} was extracted {before} --one-hand; give another"
                " --out"
            )
        seen[outcome.job.name] = np.asarray(outcome.valid.any(axis=1))
        tell("hands", number, len(jobs))
    frames = np.concatenate([*seen.values()])
    if not frames.any():
        data.notes.append(
            f"No hand was found in any of {len(jobs)} videos ({len(frames)} frames):"
            " only RGB was trained."
        )
        return
    few = sum(mask.mean() < _FEW_HANDS for mask in seen.values())
    data.notes.append(
        f"Hands by MediaPipe: {'one' if one_hand else 'one or two'} in"
        f" {100 * frames.mean():.0f} % of {len(frames)} frames; {few} of {len(jobs)}"
        f" videos have some in less than {100 * _FEW_HANDS:.0f} % of their frames."
        " Nobody checked them."
    )
    data.metainfo["skeleton"] = dict(skeleton)
    for record in data.records:
        if record["group"] in seen:
            path = data.options.out / _hands_file(record["group"])
            record["skeleton"] = {"file": str(path.absolute())}


def _hands_file(group: str) -> Path:
    """Hands of a video in ``out``, named as ``tools/data/hands/extract.py`` does."""
    path = Path(group)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        path = path.with_suffix("")
    return Path(HANDS, f"{path}.npz")


def _check_targets(jobs: Sequence[HandsJob]) -> None:
    """Refuse two videos of one name, whose hands would be one file.

    Raises:
        InputError: names both.
    """
    first: dict[Path, HandsJob] = {}
    for job in jobs:
        other = first.setdefault(job.target, job)
        if other is not job:
            raise InputError(
                f"{other.name} and {job.name} differ only in their ending, and the"
                f" hands of both would be {job.target}; rename one of them"
            )


def _drop_incomplete(data: OwnData) -> None:
    """Leave out a stream that few clips have, or else the few clips that lack it."""
    total = len(data.records)
    for stream in ("skeleton", "video"):
        having = [record for record in data.records if record.get(stream)]
        if not having or len(having) == total:
            continue
        if len(having) * 2 < total:
            for record in having:
                record[stream] = None
            data.notes.append(
                f"Only {len(having)} of {total} clips have a {stream}: it is left out."
            )
        else:
            data.records = having
            data.notes.append(
                f"{total - len(having)} of {total} clips have no {stream} and are left"
                " out, so that all models see the same clips."
            )
        total = len(data.records)
    _check_labels(data.records, data.options.folder)


def _take_skeletons(data: OwnData) -> None:
    """Bring skeleton files into ``out`` where they lie elsewhere."""
    out = data.options.out.absolute()
    for record in data.records:
        if not record.get("skeleton"):
            continue
        path = (data.root / record["skeleton"]["file"]).absolute()
        if not path.is_relative_to(out):
            target = out / "skeleton" / f"{record['group']}.npz"
            if not target.is_file():
                write_atomic(target, read_bytes(path))
            path = target
        record["skeleton"] = {"file": path.relative_to(out).as_posix()}


def _copy_videos(data: OwnData, tell: Tell) -> None:
    """Small copies that are quick to seek in; originals are read once."""
    out = data.options.out
    names = dict.fromkeys(record["video"] for record in data.records)
    videos = [name for name in names if name]
    if not videos:
        return
    settings = EncodeSettings(short_side=SHORT_SIDE)
    copies = OutputFolder(out / VIDEOS, settings)
    jobs = []
    for number, name in enumerate(videos):
        target = out / VIDEOS / f"{number:05d}.mp4"
        jobs.append(CopyJob(name, str(data.root / name), str(target)))
    try:
        left = copies.pending(jobs, retry=True)
        copies.sweep(left)
        done = len(jobs) - len(left)
        for record in run_jobs(left, settings, num_workers=data.options.jobs):
            copies.add(record)
            if record["error"] is not None:
                raise AnnotationError(
                    f"{data.root / record['name']}: {record['error']}; mend the video,"
                    " or take it out of the folder"
                )
            done += 1
            tell("small copies", done, len(jobs))
        files = {name: copies.records[name]["outputs"][0]["file"] for name in videos}
    finally:
        copies.close()
    for record in data.records:
        if record["video"]:
            record["video"] = f"{VIDEOS}/{files[record['video']]}"
    data.notes.append(
        f"Models were trained and tested on small copies of the videos ({SHORT_SIDE}"
        " pixels): on the originals their scores differ a little, by up to 3e-4 where"
        " it was measured."
    )


def _check_same_clips(path: Path, records: Sequence[dict]) -> None:
    """Refuse to mix the runs of other clips with these.

    Raises:
        WorkDirError: clips, labels or splits have changed.
    """

    def key(rows: Sequence[dict]) -> set[tuple]:
        return {(r["id"], r["split"], tuple(r["label"].items())) for r in rows}

    _, before = load_annotation(str(path))
    old, new = key(before), key(records)
    if old != new:
        raise WorkDirError(
            f"the clips are not those of {path}: {len(new - old)} are new or have"
            f" another label or split, {len(old - new)} are gone; give another --out,"
            f" or delete {path.parent}/runs to train on these"
        )
