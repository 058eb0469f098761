"""Random colours, the same for every frame of a clip."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Change brightness, contrast, saturation and hue, in a random order.

    One draw serves all frames, so that colours do not flicker. MMAction2's transform of
    the same name fails with NumPy 2 where hue goes down, and draws its order when it is
    built, outside the seeded sample.

    Args:
        brightness, contrast, saturation: factors are drawn from 1 - x to 1 + x, x in
            0..1.
        hue: the shift is drawn from -hue to hue in turns of the colour circle, 0..0.5.

    Modified keys: imgs.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.1,
    ) -> None:
        limits = dict(brightness=1, contrast=1, saturation=1, hue=0.5)
        values = dict(
            brightness=brightness, contrast=contrast, saturation=saturation, hue=hue
        )
        for name, value in values.items():
            if not 0 <= value <= limits[name]:
                raise InputError(f"{name}: got {value}; expected 0 to {limits[name]}")
        self.ranges = values

    def transform(self, results: dict) -> dict:
        changes = {
            name: np.random.uniform(-value, value)
            for name, value in self.ranges.items()
        }
        order = np.random.permutation(list(changes))
        results["imgs"] = [_jitter(img, changes, order) for img in results["imgs"]]
        return results


def _jitter(
    image: np.ndarray, changes: dict[str, float], order: np.ndarray
) -> np.ndarray:
    """(h, w, 3) uint8 RGB -> the same."""
    picture: np.ndarray = image.astype(np.float32)
    for name in order:
        amount = changes[str(name)]
        if amount == 0:
            continue
        if name == "brightness":
            picture = picture * (1 + amount)
        elif name == "hue":
            picture = _turn_hue(picture, amount)
        else:
            grey = picture @ _GREY  # (h, w)
            base = np.float32(grey.mean()) if name == "contrast" else grey[..., None]
            picture = base + (picture - base) * (1 + amount)
        picture = np.clip(picture, 0, 255)
    return picture.astype(np.uint8)


def _turn_hue(picture: np.ndarray, turns: float) -> np.ndarray:
    hsv = cv2.cvtColor(picture / 255, cv2.COLOR_RGB2HSV)  # hue in 0..360
    hsv[..., 0] = (hsv[..., 0] + 360 * turns) % 360
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
