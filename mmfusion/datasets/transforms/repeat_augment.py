"""Repeated augmentation: a clip is read once and seen several times."""

from collections.abc import Mapping, Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError


@TRANSFORMS.register_module()
class RepeatAugment(BaseTransform):
    """Run transforms on the same frames several times; each result is a view.

    This is the ``num_sample`` of VideoMamba's recipes: the frames are decoded once, and
    their pictures are changed anew each time. As views share their clip's label and the
    loss is a mean over views, two views of 64 clips are that recipe's batch of 128;
    its learning rate counts them, see configs/recognition/README.md.

    Args:
        num_repeats: views that each temporal view becomes.
        transforms: configs of transforms of the pictures, such as RandAugment, crops,
            erasing.

    Required keys: imgs, num_clips; no joints and no boxes, which would belong to the
    last repeat only. Modified keys: imgs and num_clips, ``num_repeats`` times as many.
    """

    def __init__(self, num_repeats: int, transforms: Sequence[Mapping]) -> None:
        if num_repeats < 1:
            raise InputError(f"num_repeats: got {num_repeats}; expected 1 or more")
        self.num_repeats = num_repeats
        self.transforms = [TRANSFORMS.build(dict(config)) for config in transforms]

    def transform(self, results: dict) -> dict:
        for key in ("boxes", "joints"):
            if isinstance(results.get(key), np.ndarray):
                raise InputError(
                    f"the sample has {key!r}, which would follow the last repeat only;"
                    " expected pictures alone"
                )
        start = dict(results)
        frames = []
        for _ in range(self.num_repeats):
            # a transform may write into a picture
            results = {**start, "imgs": [image.copy() for image in start["imgs"]]}
            for transform in self.transforms:
                results = transform(results)
            frames += results["imgs"]
        results["imgs"] = frames
        results["num_clips"] = start["num_clips"] * self.num_repeats
        return results
