"""Pinhole camera, small rotations and smooth random motion, in metres and radians.

Camera axes: x right, y down, z forward. T is the number of frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FPS = 30.0


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths and principal point in pixels of a width x height image."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def resized(self, width: int, height: int) -> Intrinsics:
        """The same lens on an image of another size."""
        sx, sy = width / self.width, height / self.height
        return Intrinsics(
            self.fx * sx, self.fy * sy, self.cx * sx, self.cy * sy, width, height
        )

    def matrix(self) -> Array:
        """K, (3, 3)."""
        return np.array(
            [[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64
        )

    def project(self, points: Array) -> Array:
        """Camera-frame points (..., 3) to pixels (..., 2)."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        return np.stack((self.fx * x / z + self.cx, self.fy * y / z + self.cy), -1)


def unit(vectors: Array) -> Array:
    """Scale vectors (..., 3) to length one."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def rotation_matrices(vectors: Array) -> Array:
    """Rodrigues' formula: rotation vectors (T, 3) to matrices (T, 3, 3)."""
    angle = np.linalg.norm(vectors, axis=-1)[:, None, None]
    axis = vectors / np.maximum(angle[:, :, 0], 1e-12)  # (T, 3)
    cross = np.zeros((len(vectors), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = (
        -axis[:, 2],
        axis[:, 1],
        -axis[:, 0],
    )
    cross -= cross.transpose(0, 2, 1)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def minimum_jerk(progress: Array) -> Array:
    """Position along a natural reaching movement; progress is clipped to 0..1."""
    u = np.clip(progress, 0.0, 1.0)
    return u**3 * (10 - 15 * u + 6 * u**2)


def smooth_noise(
    rng: np.random.Generator, num_frames: int, dims: int, amplitude: float
) -> Array:
    """Sum of three slow sinusoids per dimension, (T, dims), about +-amplitude."""
    t = np.arange(num_frames)[:, None, None] / FPS
    hertz = rng.uniform(0.3, 2.0, (1, dims, 3))
    phase = rng.uniform(0, 2 * np.pi, (1, dims, 3))
    weight = rng.uniform(0.2, 0.6, (1, dims, 3))
    return amplitude * (weight * np.sin(2 * np.pi * hertz * t + phase)).sum(-1)


def blend(start: Array, end: Array, weight: Array) -> Array:
    """Mix two points or directions (3,) by weights (T,): (T, 3)."""
    return start + weight[:, None] * (end - start)
