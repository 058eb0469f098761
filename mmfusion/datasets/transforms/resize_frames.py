"""Frames resized with antialiasing, as published video models were fed."""

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from mmfusion.datasets.transforms.decode_video import MOST_SIDE
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError, check_choice

FILTERS = dict(bilinear=Image.Resampling.BILINEAR, bicubic=Image.Resampling.BICUBIC)


@TRANSFORMS.register_module()
class ResizeFrames(BaseTransform):
    """Resize each frame as transformers' processors do, by PIL.

    A filter as wide as the step between pixels of the result, so that nothing is left
    out where frames shrink; OpenCV's bilinear filter, of ``mmaction.Resize``, reads
    four pixels.

    Args:
        size: the shorter side in pixels, the longer one follows; or (width, height).
        resample: ``bilinear`` or ``bicubic``.

    Required and modified keys: imgs, img_shape.
    """

    def __init__(self, size: int | tuple[int, int], resample: str = "bilinear") -> None:
        sides = (size,) if isinstance(size, int) else tuple(size)
        if len(sides) > 2 or not all(0 < side <= MOST_SIDE for side in sides):
            raise InputError(
                f"size: got {size!r}; expected the shorter side, or (width, height),"
                f" from 1 to {MOST_SIDE}"
            )
        check_choice("resample", resample, FILTERS)
        self.sides, self.resample = sides, resample

    def transform(self, results: dict) -> dict:
        height, width = self._shape(*results["imgs"][0].shape[:2])
        results["imgs"] = [
            np.asarray(
                Image.fromarray(frame).resize((width, height), FILTERS[self.resample])
            )
            for frame in results["imgs"]
        ]
        results["img_shape"] = (height, width)
        return results

    def _shape(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) of the result; the longer side is rounded down, as published."""
        if len(self.sides) == 2:
            return self.sides[1], self.sides[0]
        side = self.sides[0]
        if height < width:
            return side, int(side * width / height)
        return int(side * height / width), side
