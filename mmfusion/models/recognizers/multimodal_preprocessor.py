"""Preparation of a batch for the model: the device, and video to floats."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmfusion.registry import MODELS
from mmfusion.utils.errors import InputError

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


_CACHED = 4  # dimensions of tokens (b, v, l, d) that LoadTokens put there


@MODELS.register_module()
class MultiModalPreprocessor(BaseDataPreprocessor):
    """Move a batch to the model's device and normalise its video.

    Args:
        mean, std: of the three RGB channels, on the scale 0..255; ImageNet's.
        batch_mix: config of what mixes the clips of a batch while training, such as
            :class:`BatchMix`; it gets and gives the whole batch.
    """

    def __init__(
        self,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        batch_mix: dict | None = None,
    ) -> None:
        super().__init__()
        self.batch_mix = None if batch_mix is None else MODELS.build(batch_mix)
        shape = (3, 1, 1, 1)
        self.register_buffer("mean", torch.tensor(mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(shape), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Video (b, v, 3, t, h, w) uint8 -> normalised floats; the rest as it is.

        Data samples stay on the CPU, where their labels are read one by one: from a GPU
        each would be waited for.

        Another stream of uint8 and that form is a video, too; tokens (b, v, l, d) in
        its place stay as they are. Floats of all streams are
        float32, or float64 in a model of float64.

        Raises:
            ValueError: the video is not uint8.
        """
        precision = torch.promote_types(torch.float32, self.mean.dtype)
        inputs = {
            name: value.to(precision) if value.is_floating_point() else value
            for name, value in self.cast_data(data["inputs"]).items()
        }
        data = {**data, "inputs": inputs}
        if data.get("data_samples"):  # others, to which labels and scores are added
            data["data_samples"] = [sample.to("cpu") for sample in data["data_samples"]]
        video: Tensor | None = inputs.get("video")
        if video is None or video.ndim == _CACHED:
            return data
        if video.dtype != torch.uint8:
            raise InputError(f"video has dtype {video.dtype}, expected torch.uint8")
        for name, value in inputs.items():
            if value.dtype == torch.uint8 and value.ndim == 6:
                inputs[name] = (value.float() - self.mean) / self.std
        return self.batch_mix(data) if training and self.batch_mix else data
