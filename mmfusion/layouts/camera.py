"""The pinhole camera."""

from collections.abc import Mapping

import numpy as np

MIN_DEPTH = 1e-3  # metres; nearer joints, or those behind the camera, have no picture


def project(
    joints3d: np.ndarray, camera: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Project joints from the camera frame (x right, y down, z forward) to pixels.

    Args:
        joints3d: (..., 3) in metres.
        camera: fx, fy, cx, cy in pixels.

    Returns:
        (..., 2) pixels, and (...) bool, False where the joint is not before the camera.
    """
    depth = joints3d[..., 2]
    in_front = depth > MIN_DEPTH
    safe = np.where(in_front, depth, 1.0)
    pixels = np.stack(
        [
            camera["fx"] * joints3d[..., 0] / safe + camera["cx"],
            camera["fy"] * joints3d[..., 1] / safe + camera["cy"],
        ],
        axis=-1,
    )
    return pixels, in_front
