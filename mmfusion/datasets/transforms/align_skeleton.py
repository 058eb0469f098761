"""Joints follow what was done to the pictures: mirror and crop."""

import re
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.layouts.hand_layouts import get_layout
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError

# how x is mirrored: in front of a camera (or a body) it changes its sign, in a picture
# whose width is 1 it counts from the other side. Nobody knows the width of a picture in
# pixels here: they change their sign, and NormalizeSkeleton takes the origin away
_MIRRORED_FRAMES = ("camera", "body", "image", "pixels")
_OTHER_SIDE = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}


@TRANSFORMS.register_module()
class AlignSkeleton(BaseTransform):
    """Apply the flip and the crop of MMAction2's image transforms to the joints.

    Stands after ``mmaction.Resize``, ``RandomResizedCrop``, ``CenterCrop``, ``Flip``. A
    horizontal flip mirrors x and swaps the hands, for a mirrored left hand is a right
    hand; in a body it swaps the pairs of joints that ``metainfo.skeleton.mirror``
    lists. A crop moves joints given in image fractions; joints in metres or pixels
    stay, as a crop does not move the hand.

    Args:
        mark_outside: joints that a crop leaves outside are marked as not valid.

    Modified keys: joints, joints_mask. Reads flip, flip_direction, crop_quadruple.
    """

    def __init__(self, mark_outside: bool = False) -> None:
        self.mark_outside = mark_outside

    def transform(self, results: dict) -> dict:
        if "joints" not in results:
            return results
        if results.get("joints_aligned"):
            raise InputError("AlignSkeleton: found twice in a pipeline; expected once")
        results["joints_aligned"] = True
        if results["joints_frame"] == "image":
            self._crop(results)
        if results.get("flip"):
            check_horizontal(results)
            mirror_hands(results)
        return results

    def _crop(self, results: dict) -> None:
        crop = results.get("crop_quadruple")
        if crop is None:
            return
        check_one_crop(results)
        x, y, width, height = np.asarray(crop, dtype=np.float64)
        joints = results["joints"]
        joints[..., 0] = (joints[..., 0] - x) / width
        joints[..., 1] = (joints[..., 1] - y) / height
        if self.mark_outside:
            inside = ((joints[..., :2] >= 0) & (joints[..., :2] < 1)).all(axis=-1)
            results["joints_mask"] = results["joints_mask"] & inside


@TRANSFORMS.register_module()
class FlipSkeleton(BaseTransform):
    """Mirror the skeleton of a pipeline without pictures, with a probability.

    With pictures use ``mmaction.Flip`` and ``AlignSkeleton``: both must be mirrored or
    none. Not for classes that tell left from right.

    Args:
        flip_prob: probability of a flip.
    """

    def __init__(self, flip_prob: float = 0.5) -> None:
        if not 0 <= flip_prob <= 1:
            raise InputError(f"flip_prob: got {flip_prob}; expected 0 to 1")
        self.flip_prob = flip_prob

    def transform(self, results: dict) -> dict:
        if "imgs" in results:
            raise InputError(
                "FlipSkeleton would mirror the joints but not the pictures (imgs); use"
                " mmaction.Flip and AlignSkeleton"
            )
        if "joints" in results and np.random.random() < self.flip_prob:
            mirror_hands(results)
        return results


def check_one_crop(results: dict) -> None:
    """Refuse several crops of a picture, which what is measured in it cannot share."""
    taken = results["num_clips"] * results["clip_len"]
    if len(results["imgs"]) != taken:
        raise InputError(
            f"imgs: got {len(results['imgs'])} frames after the crops; expected"
            f" {taken}: several crops cannot share joints or boxes in image fractions"
        )


def check_horizontal(results: dict) -> None:
    """Refuse a flip that is not horizontal."""
    if results.get("flip_direction") != "horizontal":
        raise InputError(
            f"flip_direction: got {results.get('flip_direction')!r}; expected"
            " 'horizontal': skeletons have no vertical mirror image"
        )


def mirror_hands(results: dict) -> None:
    """Mirror x of ``joints``; what is left becomes right, also in ``joints_mask``.

    Two hands change places. So do the pairs of joints of the layout's ``mirror``, which
    a body must have; [] says that joints stay in their places, and so allows one hand
    to be mirrored.

    Raises:
        ValueError: neither two hands nor a layout with ``mirror``, or a frame whose x
            axis has no fixed direction.
    """
    frame, joints = results["joints_frame"], results["joints"]  # (v, n, h, j, 3)
    order = _mirrored_hands(results)
    if frame not in _MIRRORED_FRAMES:
        raise InputError(
            f"joints_frame: got {frame!r}; a flip expects one of {_MIRRORED_FRAMES},"
            " where x points to the side"
        )
    places = np.arange(joints.shape[3])
    layout = results.get("joints_layout")
    for left, right in (None if layout is None else get_layout(layout).mirror) or ():
        places[[left, right]] = right, left
    joints = joints[:, :, order][:, :, :, places]
    joints[..., 0] = (1 - joints[..., 0]) if frame == "image" else -joints[..., 0]
    results["joints"] = joints
    results["joints_mask"] = results["joints_mask"][:, :, order][:, :, :, places]


def _mirrored_hands(results: dict) -> list[int]:
    """For each hand, the one that stands in its place in a mirror."""
    count, names = results["joints"].shape[2], results.get("joints_hands") or ()
    order = _other_sides(names)
    layout = results.get("joints_layout")
    if layout is not None and get_layout(layout).mirror is not None:
        return [*range(count)] if order is None else order
    if count == 2 and (order is not None or not names):
        return [1, 0]
    named = f" ({', '.join(names)})" if names else ""
    raise InputError(
        f"joints: got {count} hands{named}; expected 2, left and right, as a flip swaps"
        " them. For another skeleton set metainfo.skeleton.mirror in the annotation to"
        " the pairs of joints that change places, [[left, right], ...], or [] for none;"
        " or leave the flip out"
    )


def _other_sides(names: Sequence[str]) -> list[int] | None:
    """Index of the name of each one's other side; None where they have no sides."""
    turned = [
        re.sub("[Ll]eft|[Rr]ight", lambda side: _OTHER_SIDE[side[0]], name)
        for name in names
    ]
    if turned == [*names] or sorted(turned) != sorted(names):
        return None
    return [names.index(name) for name in turned]
