"""Labels for new videos by a trained model."""

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmfusion.apis.clip_inputs import ClipInputs, Question
from mmfusion.apis.hands_of import FoundHands, Given
from mmfusion.apis.loading import LoadedModel, check_device, load_model
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
    plan_windows,
    window_seconds,
)
from mmfusion.datasets import fusion_collate
from mmfusion.datasets.error_policy import BROKEN_CLIP_ERRORS
from mmfusion.datasets.media.sequential_video import open_for_windows
from mmfusion.datasets.sample_rng import sample_rng
from mmfusion.datasets.transforms import DecodeVideo, SampleObservedFrames
from mmfusion.hands import HandExtractor
from mmfusion.models.protocols import WeighsSamples
from mmfusion.registry import TRANSFORMS
from mmfusion.structures import MASK_SUFFIX
from mmfusion.utils.errors import InputError, MediaError
from mmfusion.utils.faster_dtype import autocast_wanted


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
        amp: ``"off"``: fp32, the scores of ``tools/test.py``; ``"auto"``: bf16 autocast
            where the device computes it faster; ``"force"``: in any case.

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
        amp: str = "off",
    ) -> None:
        if not isinstance(model, LoadedModel):
            model = load_model(model, checkpoint)
        self.loaded = model
        if device is not None:
            check_device(device)
        super().__init__(
            self.loaded.config, device=device, scope="mmfusion", show_progress=False
        )
        self.beside = ClipInputs(self.loaded, self.transforms, extractor)
        place = next(self.model.parameters()).device
        faster = autocast_wanted(amp, place)
        if amp != "off":
            print_log(f"precision: {faster.name}, as {faster.reason}", "current")
        self._bf16 = torch.autocast(place.type, torch.bfloat16, enabled=faster.bfloat16)

    @property
    def tasks(self) -> list[str]:
        """Tasks that the model scores."""
        return list(self.loaded.classes)

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
            self.beside.put_camera(clip, camera)
        found = self.beside.put_hands(clip, hands)
        asked = self.beside.put_question(clip, question)
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
        if (
            clip.path is not None
            and len(plan.spans) > 1
            and self.beside.reads(DecodeVideo)
        ):
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
        with torch.inference_mode(), self._bf16:
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
                if transform.sampling:
                    raise InputError(
                        f"SampleObservedFrames({transform.sampling}=True) looks at the"
                        " action's own frames, which no new video has; test with"
                        f" {transform.sampling}=False"
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


def _about(found: FoundHands | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"source": found.source, "seen": found.share, "note": found.note}


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
