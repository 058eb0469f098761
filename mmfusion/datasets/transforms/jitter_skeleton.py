"""Small random changes of a skeleton, for training."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError


@TRANSFORMS.register_module()
class JitterSkeleton(BaseTransform):
    """Scale, turn, move and blur joints, and hide hands; one draw for a whole view.

    Scaling and turning are about the centre of the seen joints of the view, so that
    they mean the same in metres and in image fractions. Jitter in time belongs to
    ``SampleTimes(mode='random', window=...)``, which all streams share.

    Args:
        scale: the view is scaled by a factor from 1 - scale to 1 + scale.
        rotation: largest angle in degrees about each axis x, y, z; one number means
            about z only, the roll of the camera.
        translation: standard deviation of the shift of a view, in the joints' unit.
        noise: standard deviation of each coordinate's noise, in the joints' unit.
        drop_prob: share of the frames in which a hand is marked as not valid.
        drop_run: mean number of frames for which it is so at a stretch, as detectors
            lose a hand; 1 draws each frame by itself.

    Modified keys: joints, joints_mask.
    """

    def __init__(
        self,
        scale: float = 0.0,
        rotation: float | tuple[float, float, float] = 0.0,
        translation: float = 0.0,
        noise: float = 0.0,
        drop_prob: float = 0.0,
        drop_run: float = 1.0,
    ) -> None:
        if not 0 <= scale < 1:
            raise InputError(f"scale: got {scale}; expected 0 <= scale < 1")
        if not 0 <= drop_prob < 1:
            raise InputError(f"drop_prob: got {drop_prob}; expected 0 <= prob < 1")
        if not (drop_run == 1 or 1 <= drop_run > drop_prob / (1 - drop_prob)):
            raise InputError(
                f"drop_run: got {drop_run}; expected 1, or more than drop_prob / (1 -"
                f" drop_prob) frames, {drop_prob / (1 - drop_prob):.3g}"
            )
        if not (translation >= 0 and noise >= 0):
            raise InputError(
                f"translation, noise: got {translation}, {noise}; expected 0 or more"
            )
        angles = rotation if isinstance(rotation, tuple | list) else (0, 0, rotation)
        if len(angles) != 3 or not all(angle >= 0 for angle in angles):
            raise InputError(f"rotation: got {rotation}; expected one or three angles")
        self.scale = scale
        self.rotation = np.radians(np.asarray(angles, dtype=np.float64))
        self.translation = translation
        self.noise = noise
        self.drop_prob = drop_prob
        self.drop_run = drop_run

    def transform(self, results: dict) -> dict:
        if "joints" not in results:
            return results
        joints, mask = results["joints"], results["joints_mask"]
        moved = [self._jitter(*view) for view in zip(joints, mask, strict=True)]
        results["joints"] = np.stack(moved).astype(np.float32)  # (v, n, h, j, 3)
        if results.get("joints_dims") == 2:  # stays in its plane
            results["joints"][..., 2] = 0
        if self.drop_prob:
            results["joints_mask"] = mask & self._kept(joints.shape[:3])[..., None]
        return results

    def _kept(self, shape: tuple[int, int, int]) -> np.ndarray:
        """(v, n, h) bool, False where a hand is hidden."""
        draw = np.random.random(shape)
        if self.drop_run == 1:
            return draw >= self.drop_prob
        # a chain of two states: it ends a run in one of drop_run frames, and begins one
        # as often as makes the share of hidden frames drop_prob
        end = 1 / self.drop_run
        begin = end * self.drop_prob / (1 - self.drop_prob)
        kept = np.empty(shape, bool)
        kept[:, 0] = draw[:, 0] >= self.drop_prob
        for frame in range(1, shape[1]):
            chance = np.where(kept[:, frame - 1], begin, 1 - end)
            kept[:, frame] = draw[:, frame] >= chance
        return kept

    def _jitter(self, joints: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """One view: joints (n, h, j, 3), mask (n, h, j)."""
        centre = joints[mask].mean(axis=0) if mask.any() else np.zeros(3)
        factor = 1 + self.scale * np.random.uniform(-1, 1)
        turn = _rotation(self.rotation * np.random.uniform(-1, 1, 3))  # (3, 3)
        shift = self.translation * np.random.standard_normal(3)
        blur = self.noise * np.random.standard_normal(joints.shape)
        if not mask.any():
            return joints  # that of a sample without a skeleton stays as it is
        moved = (joints - centre) @ turn.T * factor + centre + shift
        return moved + blur


def _rotation(angles: np.ndarray) -> np.ndarray:
    """(3, 3): about x, then y, then z, angles (3,) in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
