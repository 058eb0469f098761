"""RandAugment (Cubuk et al., 2020) as timm 0.4.12 has it with ``inc1``, for clips."""

import random
from collections.abc import Callable, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, ImageEnhance, ImageOps

from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError

MAX_LEVEL = 10.0
Fill = tuple[int, int, int]
_RESAMPLE = Image.Resampling.BICUBIC


def _either_sign(value: float) -> float:
    return -value if random.random() > 0.5 else value


def _affine(image: Image.Image, matrix: Sequence[float], fill: Fill) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=_RESAMPLE, fillcolor=fill
    )


def _brighten_dark(image: Image.Image, add: int) -> Image.Image:
    """Add to values below 128."""
    table = [min(255, value + add) if value < 128 else value for value in range(256)]
    return image.point(table * 3)


def _keep_bits(image: Image.Image, bits: int) -> Image.Image:
    """Keep the highest bits of each value; none leaves black (new Pillows refuse)."""
    return image.point([value & (0xFF00 >> bits) for value in range(256)] * 3)


def _enhance(kind: Callable, image: Image.Image, factor: float) -> Image.Image:
    return kind(image).enhance(factor)


def _drawn(name: str, level: float) -> float:
    """The argument of a transform at a level of 0..10; it may draw a sign."""
    share = level / MAX_LEVEL
    if name == "rotate":
        return _either_sign(share * 30)  # degrees
    if name == "posterize":
        return 4 - int(share * 4)  # bits that are kept
    if name == "solarize":
        return 256 - int(share * 256)  # values from here on are inverted
    if name == "solarize_add":
        return int(share * 110)
    if name in ("color", "contrast", "brightness", "sharpness"):
        return 1 + _either_sign(share * 0.9)  # 1 changes nothing
    if name in ("shear_x", "shear_y"):
        return _either_sign(share * 0.3)
    if name in ("translate_x", "translate_y"):
        return _either_sign(share * 0.45)  # of the side
    return 0.0


_Change = Callable[[Image.Image, float, Fill], Image.Image]
# in timm's order, so that the same draws mean the same changes
OPERATIONS: dict[str, _Change] = {
    "auto_contrast": lambda image, x, fill: ImageOps.autocontrast(image),
    "equalize": lambda image, x, fill: ImageOps.equalize(image),
    "invert": lambda image, x, fill: ImageOps.invert(image),
    "rotate": lambda image, x, fill: image.rotate(
        x, resample=_RESAMPLE, fillcolor=fill
    ),
    "posterize": lambda image, x, fill: _keep_bits(image, int(x)),
    "solarize": lambda image, x, fill: ImageOps.solarize(image, int(x)),
    "solarize_add": lambda image, x, fill: _brighten_dark(image, int(x)),
    "color": lambda image, x, fill: _enhance(ImageEnhance.Color, image, x),
    "contrast": lambda image, x, fill: _enhance(ImageEnhance.Contrast, image, x),
    "brightness": lambda image, x, fill: _enhance(ImageEnhance.Brightness, image, x),
    "sharpness": lambda image, x, fill: _enhance(ImageEnhance.Sharpness, image, x),
    "shear_x": lambda image, x, fill: _affine(image, (1, x, 0, 0, 1, 0), fill),
    "shear_y": lambda image, x, fill: _affine(image, (1, 0, 0, x, 1, 0), fill),
    "translate_x": lambda image, x, fill: _affine(
        image, (1, 0, x * image.size[0], 0, 1, 0), fill
    ),
    "translate_y": lambda image, x, fill: _affine(
        image, (1, 0, 0, 0, 1, x * image.size[1]), fill
    ),
}


@TRANSFORMS.register_module()
class RandAugment(BaseTransform):
    """Change a clip by ``num_ops`` of fifteen changes, each with probability a half.

    All frames get the same change of the same strength. ``rand-m7-n4-mstd0.5-inc1`` is
    ``RandAugment(magnitude=7, num_ops=4, magnitude_std=0.5)``.

    Args:
        magnitude: strength; below 0 and above 10 it counts as those.
        num_ops: changes drawn, with replacement.
        magnitude_std: standard deviation of the strength, drawn anew for each change.
        fill: RGB of what comes in from outside the picture.

    Required keys: imgs, a list of (h, w, 3) uint8 RGB; no joints and no boxes, which
    would not follow. Modified keys: imgs.
    """

    def __init__(
        self,
        magnitude: float = 7,
        num_ops: int = 4,
        magnitude_std: float = 0.5,
        fill: Fill = (128, 128, 128),
    ) -> None:
        if num_ops < 0 or magnitude_std < 0 or magnitude < 0:
            raise InputError(
                f"magnitude: got {magnitude}, num_ops {num_ops}, magnitude_std"
                f" {magnitude_std}; expected none below 0"
            )
        self.magnitude, self.num_ops = magnitude, num_ops
        self.magnitude_std = magnitude_std
        self.fill = (int(fill[0]), int(fill[1]), int(fill[2]))

    def transform(self, results: dict) -> dict:
        for key in ("boxes", "joints"):
            if isinstance(results.get(key), np.ndarray):
                raise InputError(
                    f"the sample has {key!r}, which RandAugment would leave where they"
                    " were; expected pictures alone"
                )
        images = [Image.fromarray(image) for image in results["imgs"]]
        for name in np.random.choice(list(OPERATIONS), self.num_ops):
            if random.random() > 0.5:
                continue
            level = self.magnitude
            if self.magnitude_std > 0:
                level = random.gauss(level, self.magnitude_std)
            amount = _drawn(str(name), min(MAX_LEVEL, max(0.0, level)))
            change = OPERATIONS[str(name)]
            images = [change(image, amount, self.fill) for image in images]
        results["imgs"] = [np.array(image) for image in images]  # copies: writable
        return results
