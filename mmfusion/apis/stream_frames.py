"""One frame of a stream through the pipeline that a model was tested with."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.registry import DefaultScope
from torch import Tensor

from mmfusion.datasets.media.array_video import ArrayVideo
from mmfusion.datasets.transforms import (
    AlignSkeleton,
    DecodeVideo,
    LabelMoments,
    LoadSkeleton,
    NormalizeSkeleton,
    PackInputs,
    SampleClock,
    SampleObservedFrames,
    SampleRates,
    SampleSegments,
    SampleTimes,
)
from mmfusion.registry import TRANSFORMS
from mmfusion.structures import MASK_SUFFIX
from mmfusion.utils.errors import InputError

STREAMS = ("video", "skeleton")
CAUSAL_MODES = ("none", "wrist", "first_size")
# they choose frames, or label them: a camera has chosen, and nobody has labelled
_OF_CLIPS = (
    LabelMoments,
    PackInputs,
    SampleClock,
    SampleObservedFrames,
    SampleRates,
    SampleSegments,
    SampleTimes,
)
_OWN = (DecodeVideo, LoadSkeleton, AlignSkeleton, NormalizeSkeleton, PackInputs)
_REFERENCE = "skeleton_reference"


class FramePipeline:
    """The transforms of a test pipeline, applied to a frame as soon as it is there.

    What chooses frames is left out: a camera has chosen. What needs a later frame is
    refused.

    Args:
        pipeline: config of each transform, as ``LoadedModel.pipeline``.
        skeleton: ``metainfo.skeleton`` of the data that the model was trained with.

    Raises:
        InputError: a transform reads the whole clip, or is not for single frames.
    """

    def __init__(
        self, pipeline: Sequence[Mapping[str, Any]], skeleton: Mapping | None
    ) -> None:
        with DefaultScope.overwrite_default_scope("mmfusion"):
            built = [TRANSFORMS.build(copy.deepcopy(dict(step))) for step in pipeline]
        steps = [step for step in built if not isinstance(step, _OF_CLIPS)]
        for step in steps:
            _check_causal(step)
        own = {name: PackInputs([name]) for name in STREAMS}
        pictures = [step for step in steps if not isinstance(step, LoadSkeleton)]
        joints = [
            step for step in steps if isinstance(step, _OWN) and not _decodes(step)
        ]
        self.steps = {
            "video": [*pictures, own["video"]],
            "skeleton": [*joints, own["skeleton"]],
        }
        self.skeleton = skeleton

    def __call__(
        self, stream: str, data: Any, reference: np.ndarray
    ) -> tuple[dict[str, Tensor], np.ndarray]:
        """Tensors of one frame.

        Args:
            stream: ``video`` or ``skeleton``.
            data: a frame (h, w, 3) uint8 RGB; or joints (hands, j, 3), NaN where not
                seen (a hand whose numbers are all 0 is not, either), or a pair of them
                and a mask (hands, j) or (hands,), True where seen.
            reference: (4,) of what ``NormalizeSkeleton`` measured at the first sight,
                NaN before it.

        Returns:
            As ``PackInputs`` gives them, with one view of one frame: (1, 1, ...) by
            name (video (1, 3, 1, h, w)); and the reference.

        Raises:
            InputError: data of another kind or shape. SkeletonError: wrong joints.
        """
        results: dict[str, Any] = {
            "sample_id": "a frame of a stream",
            "times": {stream: np.full((1, 1), 0.5)},
            "index_fps": 1.0,
            "start_sec": None,
            "end_sec": None,
            "ann_meta": {"skeleton": self.skeleton, "extra": None},
        }
        if stream == "video":
            results["video_data"] = _video(data)
        else:
            results["skeleton_data"] = _skeleton(data)
            results["skeleton_path"] = None
            results[_REFERENCE] = reference[None]
        for step in self.steps[stream]:
            if isinstance(step, PackInputs):
                reference = results.get(_REFERENCE, reference[None])[0]
            results = step(results)
        return results["inputs"], reference


def _decodes(step: Any) -> bool:
    return isinstance(step, DecodeVideo)


def _check_causal(step: Any) -> None:
    """Refuse a transform that needs a later frame, or one that none here knows."""
    name = type(step).__name__
    if isinstance(step, NormalizeSkeleton) and step.mode not in CAUSAL_MODES:
        raise InputError(
            f"NormalizeSkeleton(mode={step.mode!r}) measures the whole clip; a stream"
            f" expects a model that was trained with one of {CAUSAL_MODES}"
        )
    if isinstance(step, LoadSkeleton) and step.interpolate:
        raise InputError(
            "LoadSkeleton(interpolate=True) looks at the next frame; a stream expects"
            " a model that was trained without it"
        )
    is_picture = type(step).__module__.startswith("mmaction.")
    if not isinstance(step, _OWN) and (not is_picture or "Crop" in name):
        raise InputError(
            f"the model's pipeline has {name}, which is not for single frames of a"
            " stream; expected resizing, AlignSkeleton and NormalizeSkeleton"
        )


def _video(data: Any) -> ArrayVideo:
    if not isinstance(data, np.ndarray) or data.ndim != 3:
        shape = getattr(data, "shape", type(data).__name__)
        raise InputError(f"a frame of video is {shape}; expected (h, w, 3) uint8, RGB")
    return ArrayVideo(data[None], 1.0, "a frame of a stream")


def _skeleton(data: Any) -> dict[str, np.ndarray]:
    """Arrays of one frame, as a file of joints has them."""
    joints, mask = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    try:
        joints = np.asarray(joints)
    except ValueError as error:  # rows of several lengths
        raise InputError(f"joints of a frame: {error}") from None
    if joints.ndim != 3 or joints.dtype.kind not in "iuf":
        raise InputError(
            f"joints of a frame are {joints.dtype} {joints.shape}; expected numbers"
            " (hands, joints, 3)"
        )
    with np.errstate(over="ignore"):  # what is too large becomes infinite: not seen
        joints = joints.astype(np.float32)
    arrays = {"keypoint": joints[None]}
    if mask is not None:
        arrays["valid"] = np.asarray(mask, bool)[None]
    return arrays


def stack_frames(frames: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Frames of several rows as a batch: (r, 1, 1, ...) by name."""
    return {name: torch.stack([f[name] for f in frames]) for name in frames[0]}


def mask_of(inputs: Mapping[str, Tensor], stream: str) -> Tensor | None:
    """The mask of a batch of single frames, (r, ...), or None."""
    mask = inputs.get(stream + MASK_SUFFIX)
    return None if mask is None else mask[:, 0, 0]
