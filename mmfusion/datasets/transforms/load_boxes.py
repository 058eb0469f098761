"""Boxes of hands and objects at the times of the frames, and as the frames are cut."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.caches.box_cache import load_box_file, take_boxes
from mmfusion.datasets.transforms.align_skeleton import (
    check_horizontal,
    check_one_crop,
)
from mmfusion.datasets.transforms.sample_times import times_of
from mmfusion.layouts.box_arrays import BoxFile
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import BoxError, InputError

MAX_AGE_SECONDS = 0.5  # boxes that are older are not this moment's
MIN_SIDE = 1e-3  # of the picture; what a crop leaves of a box may be nothing


@TRANSFORMS.register_module()
class LoadBoxes(BaseTransform):
    """Take the boxes at ``times['video']``, of the frames shown then or just before.

    Stands after ``SampleTimes``; ``AlignBoxes`` follows the crops and flips.

    Args:
        num_boxes: places a frame (o); None takes as many as the file has. Further ones
            are cut, lacking ones are not valid.
        optional: a sample without boxes gets zeros, none valid, instead of an error;
            needs ``num_boxes``.

    Required keys: times, boxes_path, group. Added keys: boxes (v, t, o, 4) float32,
    x1 y1 x2 y2 in fractions of the picture, boxes_mask (v, t, o) bool, boxes_names.
    """

    def __init__(self, num_boxes: int | None = None, optional: bool = False) -> None:
        if num_boxes is not None and num_boxes < 1:
            raise InputError(f"num_boxes: got {num_boxes}; expected 1 or more")
        if optional and num_boxes is None:
            raise InputError("optional: got True; expected num_boxes with it")
        self.num_boxes = num_boxes
        self.optional = optional

    def transform(self, results: dict) -> dict:
        times = times_of(results, "video")
        content = self._load(results)
        count = self.num_boxes or (len(content.names) if content else 0)
        boxes = np.zeros((times.size, count, 4), np.float32)
        valid = np.zeros((times.size, count), bool)
        if content is not None:
            found, seen = take_boxes(content, times.reshape(-1), MAX_AGE_SECONDS)
            kept = min(count, found.shape[1])
            boxes[:, :kept], valid[:, :kept] = found[:, :kept], seen[:, :kept]
        results["boxes"] = boxes.reshape(*times.shape, count, 4)  # (v, t, o, 4)
        results["boxes_mask"] = valid.reshape(*times.shape, count)  # (v, t, o)
        results["boxes_names"] = list(content.names[:count]) if content else []
        return results

    def _load(self, results: dict) -> BoxFile | None:
        path = results.get("boxes_path")
        if not path:
            if self.optional:
                return None
            raise InputError(
                f"sample {results.get('sample_id')!r} has no boxes; expected a file:"
                " make the boxes and prepare.py's annotation, or set optional=True"
            )
        content = load_box_file(path)
        group = results.get("group")
        if group is not None and content.sequence != group:
            reason = f"it belongs to {content.sequence!r}; expected {group!r}"
            raise BoxError(path, reason)
        return content


@TRANSFORMS.register_module()
class AlignBoxes(BaseTransform):
    """Apply the crop and the flip of MMAction2's image transforms to the boxes.

    Stands after ``mmaction.Resize``, ``RandomResizedCrop``, ``CenterCrop``, ``Flip``. A
    box is cut at the border of the crop; one that lies outside is not valid, and zeros.
    A flip mirrors boxes and swaps those named left and right hand, for a mirrored left
    hand is a right hand.

    Modified keys: boxes, boxes_mask. Reads flip, flip_direction, crop_quadruple.
    """

    def transform(self, results: dict) -> dict:
        if "boxes_mask" not in results:  # no LoadBoxes in the pipeline
            return results
        if results.get("boxes_aligned"):
            raise InputError("AlignBoxes: found twice in a pipeline; expected once")
        results["boxes_aligned"] = True
        boxes = results["boxes"].astype(np.float64)
        valid = results["boxes_mask"]
        crop = results.get("crop_quadruple")
        if crop is not None:
            check_one_crop(results)
            x, y, width, height = np.asarray(crop, dtype=np.float64)
            boxes = (boxes - [x, y, x, y]) / [width, height, width, height]
        boxes = np.clip(boxes, 0, 1)
        sides = boxes[..., 2:] - boxes[..., :2]
        valid = valid & (sides > MIN_SIDE).all(axis=-1)
        if results.get("flip"):
            boxes, valid = self._mirror(results, boxes, valid)
        results["boxes"] = np.where(valid[..., None], boxes, 0).astype(np.float32)
        results["boxes_mask"] = valid
        return results

    def _mirror(
        self, results: dict, boxes: np.ndarray, valid: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        check_horizontal(results)
        boxes = boxes[..., [2, 1, 0, 3]]
        boxes[..., [0, 2]] = 1 - boxes[..., [0, 2]]
        names = results["boxes_names"]
        swap = {"left hand": "right hand", "right hand": "left hand"}
        order = [
            names.index(swap[name]) if swap.get(name) in names else place
            for place, name in enumerate(names)
        ] + list(range(len(names), boxes.shape[-2]))
        return boxes[..., order, :], valid[..., order]


@TRANSFORMS.register_module()
class ArrangeBoxes(BaseTransform):
    """Put the boxes that are named into places, for a model that tells them by place.

    Stands after ``AlignBoxes``, so that a mirrored left hand is a right hand.

    Args:
        names: what each place holds, by the file's names, such as ``("right hand",
            None, "object")``; None is a place that stays empty.
        min_side: boxes whose width or height, in fractions of the crop, is not more are
            not valid.

    Modified keys: boxes (v, t, n, 4), boxes_mask (v, t, n), boxes_names.
    """

    def __init__(self, names: Sequence[str | None], min_side: float = 0.0) -> None:
        named = [name for name in names if name is not None]
        if not named or len({*named}) < len(named):
            raise InputError(f"names: got {names}; expected different ones")
        if not 0 <= min_side < 1:
            raise InputError(f"min_side: got {min_side}; expected 0 or more, below 1")
        self.names = list(names)
        self.min_side = min_side

    def transform(self, results: dict) -> dict:
        has = results["boxes_names"]
        lacking = [name for name in self.names if name not in (*has, None)]
        if has and lacking:
            raise InputError(
                f"sample {results.get('sample_id')!r} has boxes of {has}; expected"
                f" {lacking} too: make boxes with them, or change names"
            )
        lead = results["boxes_mask"].shape[:2]  # (v, t)
        boxes = np.zeros((*lead, len(self.names), 4), np.float32)
        valid = np.zeros((*lead, len(self.names)), bool)
        for place, name in enumerate(self.names):
            if name in has:
                boxes[:, :, place] = results["boxes"][:, :, has.index(name)]
                valid[:, :, place] = results["boxes_mask"][:, :, has.index(name)]
        valid &= (boxes[..., 2:] - boxes[..., :2] > self.min_side).all(axis=-1)
        results["boxes"] = np.where(valid[..., None], boxes, 0).astype(np.float32)
        results["boxes_mask"] = valid
        results["boxes_names"] = [name or "" for name in self.names]
        return results
