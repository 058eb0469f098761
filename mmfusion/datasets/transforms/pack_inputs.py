"""The end of every pipeline: tensors for the model, labels in a data sample."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmfusion.registry import TRANSFORMS
from mmfusion.structures import MASK_SUFFIX, ActionDataSample
from mmfusion.utils.errors import InputError

# what says of a sample where it is from, what was asked and what was seen of it
META_KEYS = (
    "video_id",
    "participant_id",
    "question_source",
    "question_tasks",
    "tau_a",
    "tau_o",
    "padded",
    "sampling",
    "observed_times",
    "num_hands",
)


@TRANSFORMS.register_module()
class PackInputs(BaseTransform):
    """Pack the streams of a sample, its labels and its name.

    ``video``, ``skeleton`` and ``text`` come from the transforms of this package. Any
    other stream is an array that some transform of the pipeline left under the stream's
    name, first axis v, with ``<name>_mask`` beside it where it has a mask.

    Args:
        streams: the streams to pack, in the model's names.
        meta_keys: keys of the results, or of the record's ``extra``, that go into the
            data sample's metainfo, None where a sample lacks one. Those of
            ``META_KEYS`` that a sample has go there without being named.

    Returns of ``transform``: ``inputs`` with video (v, 3, t, h, w) uint8, video_mask
    (v, t) bool where ``DecodeVideo(missing_size=...)`` made one, skeleton (v, n, J, 3)
    float32 and skeleton_mask (v, n, J) bool, where J counts the joints of all hands one
    hand after the other; ``data_samples``, an ActionDataSample with ``gt_<task>`` and
    ``sample_id``, and with ``past_<task>`` (t,) after :class:`LabelObserved`.
    """

    def __init__(
        self,
        streams: Sequence[str] = ("video", "skeleton"),
        meta_keys: Sequence[str] = (),
    ) -> None:
        if isinstance(streams, str) or not streams:
            raise InputError(f"streams: got {streams!r}; expected a list of names")
        self.streams = tuple(streams)
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        packers = {"video": _pack_video, "skeleton": _pack_skeleton, "text": _pack_text}
        inputs: dict[str, torch.Tensor] = {}
        for stream in self.streams:
            if stream in packers and stream not in results.get("cached", ()):
                inputs.update(packers[stream](results))
            else:
                inputs.update(_pack_array(results, stream))
        views = {name: len(value) for name, value in inputs.items()}
        for name, value in inputs.items():
            inputs[name] = _match_views(name, value, max(views.values()))
        return {"inputs": inputs, "data_samples": self._data_sample(results)}

    def _data_sample(self, results: dict) -> ActionDataSample:
        extra = results.get("extra") or {}
        keys = [key for key in META_KEYS if key in results or key in extra]
        keys += self.meta_keys
        meta = {key: results.get(key, extra.get(key)) for key in keys}
        sample = ActionDataSample(
            metainfo={"sample_id": results.get("sample_id"), **meta}
        )
        for task, label in (results.get("label") or {}).items():
            if not isinstance(label, np.ndarray):  # of moments, (t, k + 1)
                label = int(label)
            sample.set_field(torch.as_tensor(label), f"gt_{task}")
        for task, label in results.get("past_label", {}).items():
            sample.set_field(torch.from_numpy(label), f"past_{task}")
        return sample


def _pack_video(results: dict) -> dict[str, torch.Tensor]:
    frames = results.get("imgs")
    if not frames:
        raise _missing(results, "video", "imgs", "DecodeVideo")
    count = results["clip_len"]
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1 or frames[0].dtype != np.uint8 or len(frames) % count:
        raise InputError(
            f"imgs: got {len(frames)} frames, {frames[0].dtype}, of shapes {shapes};"
            f" expected a multiple of {count}, uint8, all of one shape (h, w, 3)"
        )
    height, width, channels = frames[0].shape
    video = np.empty((len(frames) // count, channels, count, height, width), np.uint8)
    for number, frame in enumerate(frames):  # 2 to 3 times as fast as to transpose
        planes = cv2.split(np.ascontiguousarray(frame))  # of (h, w)
        video[number // count, :, number % count] = planes
    mask = results.get("imgs_mask")
    if mask is None:
        return {"video": torch.from_numpy(video)}
    mask = np.resize(mask, (len(video), count))  # (v, t); several crops repeat it
    video = video * mask[:, None, :, None, None]  # a jittered black frame is not black
    return {"video": torch.from_numpy(video), "video_mask": torch.from_numpy(mask)}


def _pack_skeleton(results: dict) -> dict[str, torch.Tensor]:
    joints = results.get("joints")
    if joints is None:
        raise _missing(results, "skeleton", "joints", "LoadSkeleton")
    views, num, hands, per_hand, channels = joints.shape
    shape = (views, num, hands * per_hand)
    mask = results["joints_mask"].reshape(shape)  # (v, n, J)
    joints = joints.astype(np.float32).reshape(*shape, channels)  # (v, n, J, 3)
    finite = np.isfinite(joints)
    if not finite.all():
        if not finite[mask].all():
            raise InputError(
                f"joints of sample {results.get('sample_id')!r}: a valid one is not"
                " finite; look at the transforms after LoadSkeleton"
            )
        joints = np.nan_to_num(joints)
    return {
        "skeleton": torch.from_numpy(joints),
        "skeleton_mask": torch.from_numpy(mask.copy()),
    }


def _pack_text(results: dict) -> dict[str, torch.Tensor]:
    if "tokens" not in results:
        raise _missing(results, "text", "tokens", "TokenizeQuestions")
    return _with_mask(results, "tokens", "text")


def _pack_array(results: dict, stream: str) -> dict[str, torch.Tensor]:
    """A stream of a user's own transform."""
    value = results.get(stream)
    if not isinstance(value, np.ndarray | torch.Tensor):
        raise InputError(
            f"streams: {stream!r} is {type(value).__name__} at the end of the pipeline;"
            " expected an array (v, ...) that one of its transforms writes"
        )
    return _with_mask(results, stream, stream)


def _with_mask(results: dict, key: str, stream: str) -> dict[str, torch.Tensor]:
    """The array under ``key``, and its mask where there is one, as a stream."""
    packed = {stream: torch.as_tensor(results[key])}
    mask = results.get(key + MASK_SUFFIX)
    if mask is not None:
        packed[stream + MASK_SUFFIX] = torch.as_tensor(mask)
    return packed


def _match_views(name: str, value: torch.Tensor, views: int) -> torch.Tensor:
    """(v, ...): a stream with fewer views is repeated, as crops share their moments.

    One view is left alone: the model expands it (text).
    """
    if len(value) in (1, views):
        return value
    if views % len(value):
        raise InputError(f"{name}: got {len(value)} views; expected 1 or {views}")
    return value.repeat(views // len(value), *[1] * (value.ndim - 1))


def _missing(results: dict, stream: str, key: str, transform: str) -> InputError:
    return InputError(
        f"sample {results.get('sample_id')!r}: the pipeline left no {key!r}; expected"
        f" {transform} before PackInputs for the stream {stream!r}"
    )
