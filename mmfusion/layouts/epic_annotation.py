"""EPIC-KITCHENS-100's csv files as the metainfo and records of an annotation file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmfusion.layouts import epic_kitchens as epic
from mmfusion.layouts.epic_kitchens import EpicClasses, EpicSegment
from mmfusion.layouts.skeleton_arrays import TWO_HANDS
from mmfusion.utils.errors import AnnotationError, InputError

MEDIA = ("videos", "frames", "chunks")


@dataclass(frozen=True)
class EpicMedia:
    """The files of a segment, relative to the data root.

    Attributes:
        kind: ``videos`` (PXX/videos/PXX_YY.MP4), ``frames`` (PXX/rgb_frames/PXX_YY/
            frame_0000000001.jpg), ``chunks`` (AVION's PXX/PXX_YY.MP4/15.MP4).
        folder: that of the participants.
        index_fps: frames a second of extracted frames; None is 60, or 50 in the
            extension, as published.
        chunk_seconds: length of each chunk but the last.
        skeleton_dir: folder with hands, ``<video>.npz``; None without.
        boxes_dir: folder with boxes, ``<video>.npz``; None without.
    """

    kind: str = "videos"
    folder: str = "videos"
    index_fps: float | None = None
    chunk_seconds: float = 15.0
    skeleton_dir: str | None = None
    boxes_dir: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in MEDIA:
            raise InputError(f"media is {self.kind!r}; expected one of {MEDIA}")
        if self.chunk_seconds <= 0 or (self.index_fps or 1) <= 0:
            raise InputError(
                f"chunk_seconds is {self.chunk_seconds}, index_fps {self.index_fps};"
                " expected more than 0 each"
            )

    def pictures(self, segment: EpicSegment) -> dict[str, Any]:
        """Places of the pictures, in the keys of a record."""
        base = "/".join(p for p in (self.folder.rstrip("/"), segment.participant) if p)
        if self.kind == "frames":
            return {
                "frame_dir": f"{base}/rgb_frames/{segment.video}",
                "filename_tmpl": "frame_{:010d}.jpg",
                "start_index": 1,
            }
        between = "" if self.kind == "chunks" else "videos/"
        return {"video": f"{base}/{between}{segment.video}.MP4"}

    def check_caches(self, root: Path, segments: Iterable[EpicSegment]) -> None:
        """Refuse segments without their hands or boxes.

        Raises:
            AnnotationError: names the first line that wants them.
        """
        for folder in (self.skeleton_dir, self.boxes_dir):
            if folder is None:
                continue
            there = {path.stem for path in (root / folder).glob("*.npz")}
            lacking = [one for one in segments if one.video not in there]
            if lacking:
                videos = sorted({one.video for one in lacking})
                raise AnnotationError(
                    f"{lacking[0].place}: {root / folder} has no {videos[0]}.npz, and"
                    f" lacks {len(videos)} videos' in all; make them, or give 'none'"
                    " for the folder to do without"
                )


def read_vocabulary(
    actions: Path | None, folder: Path, classes: EpicClasses
) -> list[tuple[int, int]]:
    """Verb and noun of each action, in AVION's order.

    Args:
        actions: ``actions.csv`` of RULSTM or of ``tools/data/ek100/prepare.py``; None
            takes the pairs of the train and validation csv in ``folder``.
        folder: the folder of the csv files.
        classes: of that folder.
    """
    if actions is not None:
        return epic.read_actions(actions, classes)
    files = [folder / epic.SEGMENT_FILES[split] for split in ("train", "val")]
    return epic.action_pairs(
        (one.verb, one.noun)
        for file in files
        for one in epic.read_segments(file, classes)
        if one.verb is not None and one.noun is not None
    )


def make_metainfo(
    classes: EpicClasses,
    pairs: Sequence[tuple[int, int]],
    unseen: Iterable[str],
    *,
    with_skeleton: bool,
) -> dict[str, Any]:
    """The metainfo of all splits.

    Args:
        classes: verbs and nouns; for questions, ``extra.words`` gets every name.
        pairs: verb and noun of each action; none gives no task ``action``.
        unseen: participants whom training never shows.
        with_skeleton: the records have hands.
    """
    words = {
        task: [asdict(one) for one in table]
        for task, table in (("verb", classes.verb), ("noun", classes.noun))
    }
    return {
        "version": 1,
        "dataset": "ek100",
        "classes": classes.names(pairs),
        "skeleton": dict(TWO_HANDS) if with_skeleton else None,
        "extra": {
            "action_pairs": [list(pair) for pair in pairs] or None,
            "tail_verbs": list(classes.tail_verbs),
            "tail_nouns": list(classes.tail_nouns),
            "unseen_participants": sorted(set(unseen)),
            "words": words,
        },
    }


def make_record(
    segment: EpicSegment,
    split: str,
    media: EpicMedia,
    number: Mapping[tuple[int, int], int],
    durations: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The record of a segment.

    Labels are ``verb``, ``noun`` and ``action``, the number of their pair, where the
    vocabulary has it. Text is the narration and the narrator's own verb and noun.

    Args:
        segment: as the csv has it.
        split: ``train``, ``val`` or ``test``.
        media: where its files are.
        number: of each action, by verb and noun.
        durations: seconds of the videos, as far as they are known.
    """
    rate = media.index_fps or epic.index_fps(segment.video)
    label = {}
    if segment.verb is not None and segment.noun is not None:
        label = {"verb": segment.verb, "noun": segment.noun}
        if (segment.verb, segment.noun) in number:
            label["action"] = number[segment.verb, segment.noun]
    text = {
        "narration": segment.narration,
        "verb": segment.verb_name,
        "noun": segment.noun_name,
    }
    extra: dict[str, Any] = {
        "video_id": segment.video,
        "participant_id": segment.participant,
    }
    if media.kind == "chunks":
        extra["chunk_seconds"] = media.chunk_seconds
    record: dict[str, Any] = {
        "id": segment.narration_id,
        "group": segment.video,
        "split": split,
        **media.pictures(segment),
        "start_sec": segment.start_sec,
        "end_sec": segment.stop_sec,
        # number 1 is the frame at 0 s, and no number lies below it
        "start_frame": max(1, int(segment.start_sec * rate + 1e-6)),
        "end_frame": max(1, int(segment.stop_sec * rate + 1e-6)),
        "index_fps": rate,
        "label": label,
        "extra": extra,
    }
    for stream in ("skeleton", "boxes"):
        folder = getattr(media, f"{stream}_dir")
        if folder is not None:
            record[stream] = {"file": f"{folder}/{segment.video}.npz"}
    if durations and segment.video in durations:
        record["duration_sec"] = durations[segment.video]
    if segment.narration is not None:
        record["text"] = text
    return record
