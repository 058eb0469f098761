"""Hands, questions and a camera of a new video, where a model reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmfusion.apis.hands_of import FoundHands, Given, HandFinder, rate_of
from mmfusion.apis.loading import LoadedModel
from mmfusion.apis.sources import Clip
from mmfusion.apis.windows import is_number
from mmfusion.datasets.transforms import (
    DecodeVideo,
    LoadBoxes,
    LoadFeatures,
    LoadSkeleton,
    ProjectSkeleton,
    TokenizeQuestions,
)
from mmfusion.hands import HandExtractor
from mmfusion.questions.generic import GENERIC, generic_record
from mmfusion.utils.errors import InputError, MediaError

CAMERA = ("fx", "fy", "cx", "cy", "width", "height")
Question = str | Mapping[str, str] | None


class ClipInputs:
    """Puts beside a video what a model reads besides, or says why it cannot.

    Args:
        loaded: the model. transforms: its pipeline, built.
        extractor: what finds hands in frames; MediaPipe's models if None.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        transforms: Sequence[Any],
        extractor: HandExtractor | None,
    ) -> None:
        self.loaded, self.transforms = loaded, transforms
        self.finder = HandFinder(loaded.card.get("skeleton"), extractor)

    def reads(self, kind: type) -> bool:
        """Tell whether the pipeline has a transform of this type."""
        return any(isinstance(transform, kind) for transform in self.transforms)

    def put_camera(self, clip: Clip, camera: Mapping[str, float]) -> None:
        """Put a camera into a clip's record, for a pipeline that has a use for it."""
        if not isinstance(camera, Mapping) or camera.keys() != set(CAMERA):
            raise InputError(
                f"camera is {camera!r:.80}; expected a mapping of {', '.join(CAMERA)}"
                " to pixels"
            )
        for key, value in camera.items():
            lowest = -np.inf if key in ("cx", "cy") else 0
            if not is_number(value) or not lowest < value < np.inf:
                raise InputError(f"camera's {key} is {value!r:.60}; expected pixels")
        if not self.reads(ProjectSkeleton):
            raise InputError(
                "camera is given, and the model's pipeline projects no hands; leave it"
                " out"
            )
        clip.record["camera"] = dict(camera)

    def put_hands(self, clip: Clip, given: Given) -> FoundHands | None:
        """Put hands into a clip's record, where the model reads them."""
        if clip.from_dataset:
            return None
        skeleton = self.loaded.card.get("skeleton")
        clip.record["ann_meta"] = {"skeleton": skeleton, "extra": None}
        self._check_streams()
        is_file = clip.path is None and clip.array is None
        if not self.reads(LoadSkeleton):
            if is_file:
                raise InputError(
                    f"{clip.name} holds hands, and the model reads"
                    f" {[*self.loaded.streams]}; expected a video"
                )
            if not (given is None or (isinstance(given, str) and given == "auto")):
                raise InputError(
                    f"hands are given, and the model reads {[*self.loaded.streams]};"
                    " leave them out"
                )
            return None
        if is_file and self.reads(DecodeVideo):
            raise InputError(
                f"{clip.name} holds hands alone, and the model reads"
                f" {[*self.loaded.streams]}; expected a video"
            )
        found = self.finder(clip, given)
        data, rate = found.data, clip.record.get("index_fps")
        if data is None or not data.valid.any():
            if not self.reads(DecodeVideo):
                raise MediaError(
                    f"{clip.name}: no hand, and the model reads nothing else:"
                    f" {found.note or 'none is seen in any frame'}"
                )
            note = found.note or "no hand is seen in any frame"
            note += ": only the other streams count"
            found = FoundHands(found.data, found.source, note)
        if data is None:
            data = self.finder.none_seen(clip, rate or 30.0)
        elif rate is None:
            clip.record["index_fps"] = data.fps or rate_of(clip)
        clip.record.update(skeleton_path=None, skeleton_data=data)
        return found

    def _check_streams(self) -> None:
        """Refuse a new video to a model of streams that only a dataset has."""
        steps = self.transforms
        streams = [step.stream for step in steps if isinstance(step, LoadFeatures)]
        lacking = []
        if self.reads(LoadBoxes):
            lacking.append("boxes of hands and objects")
        if streams:
            lacking.append(f"features from files ({', '.join(streams)})")
        if lacking:
            raise InputError(
                f"the model reads {' and '.join(lacking)}, which a new video has not;"
                " expected a clip of a dataset: tools/infer.py --test-clip N"
            )

    def put_question(self, clip: Clip, question: Question) -> dict[str, str] | None:
        """Put questions into a clip's record, where the model reads them."""
        tokenize = [t for t in self.transforms if isinstance(t, TokenizeQuestions)]
        if not tokenize:
            if question is not None:
                raise InputError(
                    f"question is {question!r:.60}, and the model reads"
                    f" {[*self.loaded.streams]}, no text; leave it out"
                )
            return None
        if clip.from_dataset and question is None:
            return dict(clip.record.get("text") or {})
        tasks = tokenize[0].question_tasks
        asked = _questions(question, tasks)
        clip.record["text"] = {f"{task}_question": asked[task] for task in tasks}
        extra = clip.record.get("extra") or {}
        source = GENERIC if question is None else "given"
        clip.record["extra"] = {**extra, "question_source": source}
        return asked


def _questions(question: Question, tasks: Sequence[str]) -> dict[str, str]:
    """The question of each task."""
    if isinstance(question, str):
        if not question.strip():
            raise InputError("question is empty; expected a sentence, or None")
        return dict.fromkeys(tasks, question)
    generic = generic_record("clip")
    known = {task: getattr(generic, f"{task}_question", None) for task in tasks}
    if question is not None:
        if not isinstance(question, Mapping) or not set(question) <= set(tasks):
            raise InputError(
                f"question is {question!r:.80}; expected a sentence, or one for some of"
                f" the tasks {[*tasks]}"
            )
        known.update(question)
    asked: dict[str, str] = {}
    for task, text in known.items():
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                f"question of {task!r} is {text!r}; expected a sentence: there is no"
                " generic one for this task"
            )
        asked[task] = text
    return asked
