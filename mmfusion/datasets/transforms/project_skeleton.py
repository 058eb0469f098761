"""From the camera frame to the image, through a pinhole camera."""

from mmcv.transforms import BaseTransform

from mmfusion.layouts.camera import project
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError


@TRANSFORMS.register_module()
class ProjectSkeleton(BaseTransform):
    """Turn joints in metres into image fractions (x / width, y / height) and depth.

    Joints behind the camera, and those outside the picture where ``drop_outside``, are
    marked as not valid.

    Args:
        drop_outside: mark joints outside the picture as not valid.

    Required keys: joints in the frame ``camera``, camera (fx, fy, cx, cy, width,
    height). Modified keys: joints, joints_mask, joints_frame (``image``).
    """

    def __init__(self, drop_outside: bool = False) -> None:
        self.drop_outside = drop_outside

    def transform(self, results: dict) -> dict:
        if "joints" not in results:
            return results
        camera = results.get("camera")
        if camera is None:
            raise InputError(
                f"sample {results.get('sample_id')!r} has no camera; expected fx, fy,"
                " cx, cy, width and height in its record"
            )
        if results["joints_frame"] != "camera":
            raise InputError(
                f"joints_frame: got {results['joints_frame']!r}; expected 'camera'"
            )
        if results.get("joints_dims") == 2:
            raise InputError(
                "joints: they are 2-D (metainfo.skeleton.dims); expected 3-D ones, as"
                " the camera divides by their depth"
            )
        pixels, in_front = project(results["joints"], camera)  # (..., 2), (...)
        joints = results["joints"].copy()
        joints[..., 0] = pixels[..., 0] / camera["width"]
        joints[..., 1] = pixels[..., 1] / camera["height"]
        mask = results["joints_mask"] & in_front  # (v, n, h, j)
        if self.drop_outside:
            xy = joints[..., :2]
            mask &= ((xy >= 0) & (xy < 1)).all(axis=-1)
        results["joints"], results["joints_mask"] = joints, mask
        results["joints_frame"] = "image"
        return results
