"""Labels for new videos by a trained model."""

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.infer import BaseInferencer
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmfusion.apis.hands_of import FoundHands, Given, HandFinder, rate_of
from mmfusion.apis.loading import LoadedModel, load_model
from mmfusion.apis.predictions import VideoPrediction
from mmfusion.apis.sources import (
    Clip,
    Input,
    Source,
    check_fps,
    list_sources,
    open_source,
)
from mmfusion.apis.windows import (
    STRIDE_SECONDS,
    Span,
    check_stride,
    is_number,
    plan_windows,
    window_seconds,
)
from mmfusion.datasets import fusion_collate
from mmfusion.datasets.error_policy import BROKEN_CLIP_ERRORS
from mmfusion.datasets.media.sequential_video import open_for_windows
from mmfusion.datasets.sample_rng import sample_rng
from mmfusion.datasets.transforms import (
    DecodeVideo,
    LoadBoxes,
    LoadSkeleton,
    ProjectSkeleton,
    SampleObservedFrames,
    TokenizeQuestions,
)
from mmfusion.hands import HandExtractor
from mmfusion.models.protocols import WeighsSamples
from mmfusion.questions.generic import GENERIC, generic_record
from mmfusion.registry import TRANSFORMS
from mmfusion.structures import MASK_SUFFIX
from mmfusion.utils.errors import InputError, MediaError

CAMERA = ("fx", "fy", "cx", "cy", "width", "height")
Question = str | Mapping[str, str] | None


class Inferencer(BaseInferencer):
    """Names and scores of what is done in videos, by a trained model.

    A video goes through the pipeline that the model was tested with, so that a clip
    gets the scores that ``tools/test.py`` gives it. A long one is cut into windows.

    Args:
        model: folder of a run, checkpoint or exported model, as
            :func:`mmfusion.apis.load_model` takes it; or what that gave.
        checkpoint: weights, where ``model`` is a config file.
        device: as torch names it; the GPU if there is one, else the CPU, if None.
        extractor: what finds hands in frames; MediaPipe's models if None.

    Example:
        >>> infer = Inferencer("work_dirs/x")  # doctest: +SKIP
        >>> infer("clip.mp4")["predictions"][0]["scores"]["action"][0]  # doctest: +SKIP
        {'class': 'open drawer', 'score': 0.81}
    """

    preprocess_kwargs = {"window", "stride", "hands", "question", "camera", "fps"}
    postprocess_kwargs = {"top"}

    def __init__(
        self,
        model: str | os.PathLike | LoadedModel,
        checkpoint: str | os.PathLike | None = None,
        *,
        device: str | None = None,
        extractor: HandExtractor | None = None,
    ) -> None:
        if not isinstance(model, LoadedModel):
            model = load_model(model, checkpoint)
        self.loaded = model
        if device is not None:
            _check_device(device)
        super().__init__(
            self.loaded.config, device=device, scope="mmfusion", show_progress=False
        )
        self.finder = HandFinder(self.loaded.card.get("skeleton"), extractor)

    @property
    def tasks(self) -> list[str]:
        """Tasks that the model scores."""
        return list(self.loaded.classes)

    def reads(self, kind: type) -> bool:
        """Tell whether the pipeline has a transform of this type."""
        return any(isinstance(transform, kind) for transform in self.transforms)

    def __call__(
        self,
        inputs: Input | Sequence[Input],
        *,
        window: float | str | None = "auto",
        stride: float = STRIDE_SECONDS,
        hands: Given = "auto",
        question: Question = None,
        camera: Mapping[str, float] | None = None,
        fps: float | None = None,
        top: int | None = 5,
        batch_size: int = 8,
        strict: bool = False,
    ) -> dict[str, Any]:
        """Label videos.

        Args:
            inputs: a video, a folder of videos, frames (t, h, w, 3) uint8 RGB with
                ``fps``, what ``MultiModalDataset`` without a pipeline gives for a clip;
                for a model of hands alone also their ``.npz``; or a list of these.
            window: seconds; ``"auto"`` takes a video of up to 8 s as one clip, as in
                testing, and cuts a longer one into windows of 2 s; None never cuts.
            stride: seconds from a window to the next.
            hands: ``"auto"`` takes the file beside the video (``clip.npz`` or
                ``hands/clip.npz``), else finds hands in the frames; ``"extract"``,
                a file, a folder of files, joints (t, h, j, 3), or None for none.
            question: what is asked, where the model reads text: one for all tasks, or
                by task; the generic ones if None.
            camera: fx, fy, cx, cy, width and height in pixels, where the pipeline
                projects hands.
            fps: frames per second of arrays.
            top: classes a task; None for all.
            batch_size: windows that the model scores at a time.
            strict: a video that cannot be read is an error, also among many.

        Returns:
            Plain data: ``predictions``, one a video (see the package's README), and
            ``skipped``, the videos that could not be read, with the reason.

        Raises:
            MediaError: the only video, or with ``strict`` any, cannot be read.
            InputError: an argument is wrong, or is not for this model.
        """
        sources = list_sources(inputs)
        check_fps(fps, sources)
        done, skipped = [], []
        for source in sources:
            try:
                done.append(
                    self.predict(
                        source,
                        window=window,
                        stride=stride,
                        hands=hands,
                        question=question,
                        camera=camera,
                        fps=fps if isinstance(source.value, np.ndarray) else None,
                        batch_size=batch_size,
                    )
                )
            except BROKEN_CLIP_ERRORS as error:
                if strict or len(sources) == 1:
                    raise
                skipped.append({"video": source.name, "reason": str(error)})
        return self.postprocess(done, skipped, top=top)

    def predict(
        self,
        source: Source | Input,
        *,
        window: float | str | None = "auto",
        stride: float = STRIDE_SECONDS,
        hands: Given = "auto",
        question: Question = None,
        camera: Mapping[str, float] | None = None,
        fps: float | None = None,
        batch_size: int = 8,
    ) -> VideoPrediction:
        """Label one video; arguments and errors as in a call, the result in arrays."""
        if not isinstance(source, Source):
            (source,) = list_sources(source)
        if type(batch_size) is not int or batch_size < 1:
            raise InputError(f"batch_size is {batch_size!r}; expected 1 or more")
        check_fps(fps, [source])
        clip = open_source(source, fps)
        if camera is not None:
            clip.record["camera"] = self._checked_camera(camera)
        found = self._prepare_hands(clip, hands)
        asked = self._prepare_question(clip, question)
        result = self._plan(clip, window, stride)
        result.hands = _about(found)
        result.question = asked
        rows: list[tuple[Span, dict[str, np.ndarray], dict[str, float]]] = []
        for spans, batch in self.preprocess(clip, result, batch_size):
            rows += zip(spans, *self.forward(batch), strict=True)
        if not rows:
            raise MediaError(result.skipped[0][1])
        result.spans = [span for span, _, _ in rows]
        for task in rows[0][1]:
            result.scores[task] = np.stack([scores[task] for _, scores, _ in rows])
        for name in rows[0][2]:
            result.weights[name] = np.array([weights[name] for _, _, weights in rows])
        return result

    def preprocess(
        self, clip: Clip, plan: VideoPrediction, batch_size: int
    ) -> Iterator[tuple[list[Span], dict[str, Any]]]:
        """Batches of windows; one that cannot be read goes to ``plan.skipped``."""
        if clip.path is not None and len(plan.spans) > 1 and self.reads(DecodeVideo):
            times = [(span.start, span.end) for span in plan.spans]
            clip.record["video_data"] = open_for_windows(clip.path, times)
        spans: list[Span] = []
        samples: list[dict[str, Any]] = []
        for span in plan.spans:
            try:
                sample = self.pipeline(self._window(clip, plan, span))
            except BROKEN_CLIP_ERRORS as error:
                plan.skipped.append((span, str(error)))
                continue
            spans.append(span)
            samples.append(sample)
            if len(samples) == batch_size:
                yield spans, self.collate_fn(samples)
                spans, samples = [], []
        if samples:
            yield spans, self.collate_fn(samples)

    def forward(
        self, batch: dict[str, Any]
    ) -> tuple[list[dict[str, np.ndarray]], list[dict[str, float]]]:
        """Probabilities (k,) by task, and weights by stream, of each sample."""
        with torch.inference_mode():
            samples = self.model.test_step(batch)
        scores = [
            {task: sample.get(f"score_{task}").cpu().numpy() for task in self.tasks}
            for sample in samples
        ]
        weights = _weights_of(self.model, batch["inputs"], len(samples))
        return scores, weights

    def _init_visualizer(self, cfg: Config) -> None:
        """None: overlays are written from the arrays of :meth:`predict`."""

    def visualize(self, inputs: Any, preds: Any, show: bool = False) -> list:
        """No pictures: :func:`mmfusion.apis.write_overlay` makes them."""
        return []

    def postprocess(
        self,
        preds: Sequence[VideoPrediction],
        skipped: Sequence[dict[str, str]],
        *,
        top: int | None = 5,
    ) -> dict[str, Any]:
        """Plain data of predictions, and of what was skipped."""
        if top is not None and (type(top) is not int or top < 1):
            raise InputError(f"top is {top!r}; expected 1 or more, or None for all")
        return {
            "model": self.loaded.path,
            "predictions": [prediction.to_dict(top) for prediction in preds],
            "skipped": list(skipped),
        }

    def _init_model(
        self, cfg: Config, weights: str | None, device: str = "cpu"
    ) -> nn.Module:
        return self.loaded.model.to(device).eval()

    def _init_pipeline(self, cfg: Config) -> Any:
        if not self.loaded.pipeline:
            raise InputError(
                f"{self.loaded.path}: nothing says the pipeline of its data; give the"
                " config with it"
            )
        with DefaultScope.overwrite_default_scope("mmfusion"):
            self.transforms = [
                TRANSFORMS.build(copy.deepcopy(dict(config)))
                for config in self.loaded.pipeline
            ]
        return self._run

    def _init_collate(self, cfg: Config) -> Any:
        return fusion_collate

    def _run(self, results: dict[str, Any]) -> dict[str, Any]:
        with sample_rng(0, 0, results["sample_id"]):  # as a dataset does
            for transform in self.transforms:
                results = transform(results)
                if results is None:
                    raise MediaError(f"{type(transform).__name__} gave no results")
        return results

    def _observed(self) -> SampleObservedFrames | None:
        """The sampler of a model that foretells, None for one that recognises."""
        for transform in self.transforms:
            if isinstance(transform, SampleObservedFrames):
                if transform.legacy_inavit:
                    raise InputError(
                        "SampleObservedFrames(legacy_inavit=True) looks at the action's"
                        " own frames, which no new video has; test with"
                        " legacy_inavit=False"
                    )
                return transform
        return None

    def _plan(
        self, clip: Clip, window: float | str | None, stride: float
    ) -> VideoPrediction:
        """A prediction with its windows, and without scores."""
        check_stride(stride)
        wanted = window_seconds(window, clip.end - clip.start)
        observed = None if clip.from_dataset else self._observed()
        note = ahead = None
        if observed is None:
            spans = plan_windows(clip.start, clip.end, wanted, stride)
        else:  # it looks at so many seconds, whatever is asked
            ahead = observed.tau_a
            spans = plan_windows(clip.start, clip.end, observed.tau_o, stride)
            if wanted is None:
                spans = spans[-1:]
            else:
                wanted = observed.tau_o
        if wanted is not None and wanted > clip.end - clip.start:
            note = (
                f"the video lasts {clip.end - clip.start:.2f} s, less than the window"
                f" of {wanted:g} s: all of it is one window"
            )
        return VideoPrediction(
            clip.name,
            clip.start,
            clip.end,
            self.loaded.classes,
            spans,
            window=wanted,
            stride=None if wanted is None else stride,
            ahead=ahead,
            note=note,
            clip=clip,
        )

    def _window(self, clip: Clip, plan: VideoPrediction, span: Span) -> dict[str, Any]:
        """Keys that the pipeline starts with for one window."""
        shared = ("video_data", "skeleton_data", "ann_meta")
        record = {
            key: value if key in shared else copy.deepcopy(value)
            for key, value in clip.record.items()
        }
        if clip.from_dataset and plan.window is None:
            return record
        record["start_sec"], record["end_sec"] = span.start, span.end
        if plan.ahead is not None:
            record["start_sec"], record["end_sec"] = span.end + plan.ahead, None
        elif span.start == 0 and span.end == clip.end and not clip.from_dataset:
            record["end_sec"] = None  # to the end of the source
        if len(plan.spans) > 1:
            record["sample_id"] = f"{clip.name}#{span.start:g}"
        return record

    def _checked_camera(self, camera: Mapping[str, float]) -> dict[str, float]:
        """A camera with every number, for a model whose pipeline has a use for it."""
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
        return dict(camera)

    def _prepare_hands(self, clip: Clip, given: Given) -> FoundHands | None:
        """Put hands into a clip's record, where the model reads them."""
        if clip.from_dataset:
            return None
        skeleton = self.loaded.card.get("skeleton")
        clip.record["ann_meta"] = {"skeleton": skeleton, "extra": None}
        if self.reads(LoadBoxes):
            raise InputError(
                "the model reads boxes of hands and objects, which a new video has not;"
                " expected a clip of a dataset"
            )
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

    def _prepare_question(
        self, clip: Clip, question: Question
    ) -> dict[str, str] | None:
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


def _about(found: FoundHands | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"source": found.source, "seen": found.share, "note": found.note}


def _check_device(device: str) -> None:
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise InputError(
            f"device is {device!r}: {str(error).splitlines()[0]}"
        ) from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device is {device!r}, and there is no GPU that torch sees")


def _weights_of(
    model: nn.Module, inputs: Mapping[str, Tensor], batch: int
) -> list[dict[str, float]]:
    """Weight of each stream in each sample; one that a sample lacks has 0."""
    found = model.stream_weights() if isinstance(model, WeighsSamples) else {}
    if not found:  # else () or (b v q,) each
        return [{} for _ in range(batch)]
    rows = torch.stack([value.float().cpu() for value in found.values()], dim=-1)
    rows = rows.expand(batch, -1) if rows.ndim == 1 else rows.unflatten(0, (batch, -1))
    rows = rows if rows.ndim == 2 else rows.mean(1)  # (b, m)
    for column, name in enumerate(found):
        mask = inputs.get(name + MASK_SUFFIX)
        if mask is not None:
            rows = rows.clone()
            rows[:, column] *= mask.flatten(1).any(1).cpu().float()
    rows = rows / rows.sum(1, keepdim=True).clamp(min=1e-12)
    return [dict(zip(found, row, strict=True)) for row in rows.tolist()]
