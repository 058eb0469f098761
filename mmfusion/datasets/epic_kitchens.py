"""EPIC-KITCHENS-100 (Damen et al., IJCV 2022), straight from its official csv files."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmfusion.datasets.annotation import check_metainfo, check_records
from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.layouts import epic_kitchens as epic
from mmfusion.layouts.epic_kitchens import EpicClasses, EpicSegment
from mmfusion.questions.generic import generic_record
from mmfusion.questions.records import QuestionRecord, load_questions
from mmfusion.registry import DATASETS
from mmfusion.utils.errors import AnnotationError, InputError

MEDIA = ("videos", "frames", "chunks")
GENERIC = "generic"  # in place of a file: the two fixed questions, for every clip
HANDS = {
    "layout": "openpose21",
    "hands": ["left", "right"],
    "unit": "m",
    "frame": "camera",
}


@DATASETS.register_module()
class EpicKitchensDataset(MultiModalDataset):
    """EPIC-KITCHENS-100's segments, with questions, hands and boxes where given.

    Labels are ``verb``, ``noun`` and, with a vocabulary, ``action``: the rank of the
    text "verb:noun" among the pairs that occur, as in AVION and RULSTM. Clips are cut
    by seconds. ``PackInputs`` puts ``video_id``, ``participant_id`` and
    ``question_source`` into a data sample's metainfo; the dataset's own metainfo has
    ``action_pairs``, ``tail_verbs``, ``tail_nouns``, ``unseen_participants``, and with
    questions of ``tools/questions/from_predictions.py`` ``recognisers``: their names
    and accuracies.

    Args:
        pipeline: configs of transforms, applied in turn.
        data_root: folder that holds every file below.
        split: ``train``, ``val`` or ``test``.
        annotation_dir: where the csv files are, relative to data_root.
        segments: another file of segments, relative to data_root: an official one, or a
            list of RULSTM.
        list_fps: frames a second in a list of RULSTM.
        actions: the action vocabulary, as ``actions.csv`` of RULSTM or of
            ``tools/data/ek100/prepare.py``; ``"annotations"`` makes it from the train
            and validation csv; None gives no label ``action``.
        media: ``videos`` (PXX/videos/PXX_YY.MP4), ``frames`` (PXX/rgb_frames/PXX_YY/
            frame_0000000001.jpg), ``chunks`` (AVION's PXX/PXX_YY.MP4/15.MP4).
        media_dir: the folder of participants, relative to data_root.
        index_fps: frames a second of extracted frames; None is 60, or 50 in the
            extension, as published.
        chunk_seconds: length of each chunk but the last.
        questions: a JSON Lines file of questions, relative to data_root; ``"generic"``
            asks the two fixed questions of every clip. Several files are joined only
            with ``join_questions``; each clip has its question in one of them.
        join_questions: allow several files of questions, perhaps of several sources.
        skeleton_dir: folder with ``<video>.npz``, hands as ``skeleton_cache.py`` has
            them; relative to data_root.
        boxes_dir: folder with ``<video>.npz``, boxes as ``box_cache.py`` has them.
        require: see :class:`MultiModalDataset`, as all arguments below.

    Example:
        >>> EpicKitchensDataset(  # doctest: +SKIP
        ...     [], data_root="data/ek100", split="val", questions="generic"
        ... )
    """

    def __init__(
        self,
        pipeline: Sequence[Mapping],
        *,
        data_root: str,
        split: str,
        annotation_dir: str = "",
        segments: str | None = None,
        list_fps: float = epic.LIST_FPS,
        actions: str | None = "annotations",
        media: str = "videos",
        media_dir: str = "videos",
        index_fps: float | None = None,
        chunk_seconds: float = 15.0,
        questions: str | Sequence[str] | None = None,
        join_questions: bool = False,
        skeleton_dir: str | None = None,
        boxes_dir: str | None = None,
        require: Sequence[str] = (),
        test_mode: bool = False,
        on_error: Mapping | None = None,
        num_classes: Mapping[str, int] | None = None,
        indices: int | Sequence[int] | None = None,
        link_roots: Sequence[str] = (),
    ) -> None:
        if split not in epic.SEGMENT_FILES:
            raise InputError(
                f"split is {split!r}; expected one of {tuple(epic.SEGMENT_FILES)}"
            )
        if media not in MEDIA:
            raise InputError(f"media is {media!r}; expected one of {MEDIA}")
        if chunk_seconds <= 0 or list_fps <= 0 or (index_fps or 1) <= 0:
            raise InputError(
                f"chunk_seconds is {chunk_seconds}, list_fps {list_fps}, index_fps"
                f" {index_fps}; expected more than 0 each"
            )
        files = [questions] if isinstance(questions, str) else list(questions or ())
        if len(files) > 1 and not join_questions:
            raise InputError(
                f"questions names {len(files)} files: {files}; expected one, so that a"
                " result has one source of questions; set join_questions=True to use"
                " them together"
            )
        self.annotation_dir = annotation_dir
        self.segments = segments
        self.list_fps = list_fps
        self.actions = actions
        self.media = media
        self.media_dir = media_dir.rstrip("/")
        self.index_fps = index_fps
        self.chunk_seconds = chunk_seconds
        self.questions = files
        self.skeleton_dir = skeleton_dir
        self.boxes_dir = boxes_dir
        super().__init__(
            "",
            pipeline,
            data_root=data_root,
            split=split,
            require=require,
            test_mode=test_mode,
            on_error=on_error,
            num_classes=num_classes,
            indices=indices,
            link_roots=link_roots,
        )

    def _read(self) -> tuple[dict, list[dict], dict[str, dict]]:
        metainfo, records = self.load_records()
        source = f"EpicKitchensDataset of {self.data_root!r}"
        metainfo = check_metainfo(metainfo, source)
        return metainfo, check_records(records, metainfo, source), {}

    def load_records(self) -> tuple[dict, list[dict]]:
        """The split's segments in the order of their file, checked."""
        root = Path(os.path.abspath(self.data_root))
        folder, split = root / self.annotation_dir, str(self.split)
        classes = epic.read_classes(folder)
        file = root / self.segments if self.segments else None
        found = epic.read_segments(
            file or folder / epic.SEGMENT_FILES[split], classes, list_fps=self.list_fps
        )
        if (folder / epic.VIDEO_FILE).is_file():
            epic.check_durations(found, epic.read_durations(folder / epic.VIDEO_FILE))
        pairs = read_vocabulary(self.actions, root, folder, classes, self.list_fps)
        check_action_numbers(found, pairs)
        self._check_sidecars(root, found)
        asked = self._read_questions(root, found)
        number = {pair: place for place, pair in enumerate(pairs)}
        records = [
            self._record(one, number, asked.get(one.narration_id)) for one in found
        ]
        return self._metainfo_of(folder, classes, pairs, asked), records

    def _record(
        self,
        segment: EpicSegment,
        number: Mapping[tuple[int, int], int],
        question: QuestionRecord | None,
    ) -> dict[str, Any]:
        rate = self.index_fps or epic.index_fps(segment.video)
        label = {}
        if segment.verb is not None and segment.noun is not None:
            label = {"verb": segment.verb, "noun": segment.noun}
            if (segment.verb, segment.noun) in number:
                label["action"] = number[segment.verb, segment.noun]
        text = {} if segment.narration is None else {"narration": segment.narration}
        extra: dict[str, Any] = {
            "video_id": segment.video,
            "participant_id": segment.participant,
        }
        if question is not None:
            for key in ("verb_question", "verb_answer", "noun_question", "noun_answer"):
                text[key] = getattr(question, key)
            extra["question_source"] = question.source
        return {
            "id": segment.narration_id,
            "group": segment.video,
            "split": self.split,
            **self._media_of(segment),
            "start_sec": segment.start_sec,
            "end_sec": segment.stop_sec,
            # number 1 is the frame at 0 s, and no number lies below it
            "start_frame": max(1, int(segment.start_sec * rate + 1e-6)),
            "end_frame": max(1, int(segment.stop_sec * rate + 1e-6)),
            "index_fps": rate,
            "skeleton": _file(self.skeleton_dir, segment.video),
            "boxes": _file(self.boxes_dir, segment.video),
            "label": label,
            "text": text or None,
            "extra": extra | {"chunk_seconds": self.chunk_seconds}
            if self.media == "chunks"
            else extra,
        }

    def _media_of(self, segment: EpicSegment) -> dict[str, Any]:
        """Where the pictures are, in the keys of a record."""
        base = "/".join(p for p in (self.media_dir, segment.participant) if p)
        if self.media == "frames":
            return {
                "frame_dir": f"{base}/rgb_frames/{segment.video}",
                "filename_tmpl": "frame_{:010d}.jpg",
                "start_index": 1,
            }
        between = "" if self.media == "chunks" else "videos/"
        return {"video": f"{base}/{between}{segment.video}.MP4"}

    def _metainfo_of(
        self,
        folder: Path,
        classes: EpicClasses,
        pairs: Sequence[tuple[int, int]],
        asked: Mapping[str, QuestionRecord],
    ) -> dict[str, Any]:
        sources = sorted({one.source for one in asked.values()})
        return {
            "version": 1,
            "dataset": "ek100",
            "classes": classes.names(pairs),
            "skeleton": dict(HANDS) if self.skeleton_dir else None,
            "question_source": "+".join(sources) or None,
            "extra": {
                "action_pairs": [list(pair) for pair in pairs] or None,
                "tail_verbs": list(classes.tail_verbs),
                "tail_nouns": list(classes.tail_nouns),
                "unseen_participants": list(epic.read_unseen(folder, str(self.split))),
                "recognisers": read_recognisers(
                    [Path(self.data_root, file) for file in self.questions]
                ),
            },
        }

    def _read_questions(
        self, root: Path, segments: Sequence[EpicSegment]
    ) -> dict[str, QuestionRecord]:
        """The question of every segment; none at all without a file."""
        known = {one.narration_id: one for one in segments}
        asked: dict[str, QuestionRecord] = {}
        for file in self.questions:
            if file == GENERIC:
                found = {name: generic_record(name) for name in known}
            else:
                found = load_questions(root / file, known=known)
            twice = [name for name in found if name in asked]
            if twice:
                raise AnnotationError(
                    f"{root / file}: two questions for the id {twice[0]!r}"
                    f" ({len(twice)} such ids), as an earlier file of {self.questions}"
                    " has one, too; expected one for each clip"
                )
            asked |= found
        lacking = [one for one in segments if one.narration_id not in asked]
        if self.questions and lacking:
            raise AnnotationError(
                f"{lacking[0].place}: {lacking[0].narration_id!r} has no question in"
                f" {self.questions}, nor have {len(lacking) - 1} more; write them with"
                " tools/questions/generate.py"
            )
        return asked

    def _check_sidecars(self, root: Path, segments: Sequence[EpicSegment]) -> None:
        """Say early which hands or boxes lack, with the first line that wants them."""
        for folder in (self.skeleton_dir, self.boxes_dir):
            if folder is None:
                continue
            there = {path.stem for path in (root / folder).glob("*.npz")}
            lacking = [one for one in segments if one.video not in there]
            if lacking:
                videos = sorted({one.video for one in lacking})
                raise AnnotationError(
                    f"{lacking[0].place}: {root / folder} has no {videos[0]}.npz, and"
                    f" lacks {len(videos)} videos' in all; make them, or set the"
                    " folder to None to do without"
                )


def _file(folder: str | None, video: str) -> dict[str, str] | None:
    return None if folder is None else {"file": f"{folder}/{video}.npz"}


def read_recognisers(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Who chose the questions of these files, as ``FILE.meta.json`` beside them says.

    Returns:
        ``recogniser``, its name, and ``accuracy``, percent top-1 by task with
        ``num_labelled``, for each file that has such a neighbour.

    Raises:
        AnnotationError: a neighbour is not what from_predictions.py writes.
    """
    found = []
    for file in files:
        path = file.with_name(f"{file.name}.meta.json")
        if not path.is_file():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            accuracy = content["accuracy"]
            keys = ("num_labelled", "verb", "noun", "action")
            found.append(
                {
                    "recogniser": str(content["recogniser"]),
                    "accuracy": {key: accuracy[key] for key in keys},
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            raise AnnotationError(
                f"{path}: not what tools/questions/from_predictions.py writes"
                f" ({error!r}); write the questions again"
            ) from error
    return found


def read_vocabulary(
    actions: str | None,
    root: Path,
    folder: Path,
    classes: EpicClasses,
    list_fps: float = epic.LIST_FPS,
) -> list[tuple[int, int]]:
    """Verb and noun of each action, in AVION's order; none where ``actions`` is None.

    Args:
        actions: a file relative to ``root``, or ``"annotations"``: from the train and
            validation csv in ``folder``.
        root, folder: data root, and where the csv files are.
        classes: of that folder.
        list_fps: see :func:`mmfusion.layouts.epic_kitchens.read_segments`.

    Raises:
        AnnotationError: a file is missing or wrong.
    """
    if actions is None:
        return []
    if actions != "annotations":
        return epic.read_actions(root / actions, classes)
    files = [folder / epic.SEGMENT_FILES[split] for split in ("train", "val")]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise AnnotationError(
            f"the action vocabulary needs {' and '.join(missing)}; set actions to a"
            " file such as RULSTM's actions.csv, or to None for verbs and nouns only"
        )
    return epic.action_pairs(
        (one.verb, one.noun)
        for file in files
        for one in epic.read_segments(file, classes, list_fps=list_fps)
        if one.verb is not None and one.noun is not None
    )


def check_action_numbers(
    segments: Sequence[EpicSegment], pairs: Sequence[tuple[int, int]]
) -> None:
    """A list that numbers its actions must number them as the vocabulary does."""
    for one in segments:
        if one.action is None or not pairs:
            continue
        known = pairs[one.action] if one.action < len(pairs) else None
        if known != (one.verb, one.noun):
            raise AnnotationError(
                f"{one.place}: action {one.action} is verb {one.verb} with noun"
                f" {one.noun} here, but {known} in the vocabulary of {len(pairs)}"
                " actions; take the vocabulary that belongs to the list"
            )
