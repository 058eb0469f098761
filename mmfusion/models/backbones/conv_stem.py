"""Small convolutions in place of the patches' one linear map, on pixels or on motion.

Shapes: b clips, t frames, h w pixels, c channels, p patches of a frame, d channels of a
token.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.registry import MODELS
from mmfusion.utils.errors import InputError, check_choice

CHANNELS = {"video": 3, "motion": 1}
_FADE = 0.95  # of a stream's largest motion, from a frame to the next
_NOISE = 0.07  # in deviations of ImageNet's pixels: 4 of 255


def motion_of(video: Tensor) -> Tensor:
    """Change of each frame since the one before, from -1 (nothing) on.

    The largest change of the three colours, without what changes everywhere (the
    exposure, the white balance), divided by what the most moving 2 % of the clip reach
    (so that a dark clip is not a still one), its root, which raises what is weak. The
    first frame has the change of the second; one frame alone has none.

    Args:
        video: (b, 3, t, h, w), normalised.

    Returns:
        (b, 1, t, h, w), -1 to 2.5.
    """
    if video.shape[2] == 1:
        return torch.full_like(video[:, :1], -1.0)
    change = video[:, :, 1:] - video[:, :, :-1]  # (b, 3, t - 1, h, w)
    everywhere = _largest(F.avg_pool3d(change, (1, *_cell(video, 8))).flatten(3), 0.5)
    change = (change - everywhere[..., None, None]).abs().amax(1, keepdim=True)
    coarse = F.avg_pool3d(change, (1, *_cell(video, 16))).flatten(1)  # (b, cells)
    much = _largest(coarse, 0.02).clamp(min=_NOISE)  # (b,)
    change = torch.cat([change[:, :, :1], change], dim=2)  # (b, 1, t, h, w)
    # a hair above 0: the root's slope there is infinite
    share = (change / much.view(-1, 1, 1, 1, 1)).clamp(1e-6, 3.0)
    return 2 * share.sqrt() - 1


def causal_motion(
    video: Tensor, before: Tensor, peak: Tensor, is_known: Tensor
) -> tuple[Tensor, Tensor]:
    """:func:`motion_of` without a look at later frames.

    What the most moving 2 % reach is the most so far, fading by a twentieth a frame. A
    first frame has no motion.

    Args:
        video: (b, 3, t, h, w), normalised. before: (b, 3, h, w), the frame before.
        peak: (b,), of the frame before, 0 at the start. is_known: (b,) bool, whether
            there was a frame before.

    Returns:
        (b, 1, t, h, w), -1 to 2.5, and the peak after the last frame.
    """
    change = torch.cat([before.unsqueeze(2), video], dim=2).diff(dim=2)
    first = torch.where(is_known.view(-1, 1, 1, 1), change[:, :, 0], 0)
    change = torch.cat([first.unsqueeze(2), change[:, :, 1:]], dim=2)
    everywhere = _largest(F.avg_pool3d(change, (1, *_cell(video, 8))).flatten(3), 0.5)
    change = (change - everywhere[..., None, None]).abs().amax(1, keepdim=True)
    coarse = F.avg_pool3d(change, (1, *_cell(video, 16))).flatten(3)  # (b, 1, t, cells)
    peaks = []
    for most in _largest(coarse, 0.02)[:, 0].unbind(1):  # (b,) each
        peak = torch.maximum(most, _FADE * peak)
        peaks.append(peak)
    much = torch.stack(peaks, dim=1).clamp(min=_NOISE)  # (b, t)
    share = (change / much[:, None, :, None, None]).clamp(1e-6, 3.0)
    return 2 * share.sqrt() - 1, peak


def _cell(video: Tensor, count: int) -> tuple[int, int]:
    """Height and width of a cell, of which the picture has ``count`` a side or more."""
    height, width = video.shape[-2:]
    return max(1, height // count), max(1, width // count)


def _largest(x: Tensor, share: float) -> Tensor:
    """The smallest of the largest ``share`` of the last axis: (..., n) -> (...)."""
    count = max(1, round(share * x.shape[-1]))  # topk: ONNX has no quantile
    return x.topk(count, dim=-1).values[..., -1]


@MODELS.register_module()
class ConvStem(BaseModule):
    """Patches by convolutions of 3x3, each of which halves the picture.

    They learn from a hundred clips what one linear map of 16x16 pixels needs many
    thousands for (Xiao et al., "Early Convolutions Help Transformers See Better", 2021,
    whose stem this is, with GroupNorm). Widths double up to ``embed_dims``.

    Args:
        embed_dims: d. patch_size: side of a patch, a power of 2. tubelet_size: frames
            of a patch.
        inputs: what it looks at: ``video``, the three colours, ``motion``
            (:func:`motion_of`), or both. Motion alone does not know what a thing looks
            like, and so cannot learn the few backgrounds of a small set by heart.

    Example:
        >>> import torch
        >>> stem = ConvStem(64, patch_size=16, tubelet_size=2, inputs=["motion"])
        >>> stem(torch.randn(1, 3, 4, 32, 32)).shape
        torch.Size([1, 2, 4, 64])
    """

    def __init__(
        self,
        embed_dims: int,
        patch_size: int = 16,
        tubelet_size: int = 1,
        inputs: Sequence[str] = ("video",),
    ) -> None:
        super().__init__()
        steps = int(math.log2(patch_size)) if patch_size > 1 else 0
        half = 2 ** max(0, steps - 1)
        if 2 * half != patch_size or embed_dims < half or embed_dims % half:
            raise InputError(
                f"patch_size: got {patch_size}; expected a power of 2, at least 2, half"
                f" of which divides embed_dims={embed_dims}"
            )
        if isinstance(inputs, str) or not inputs or len({*inputs}) < len(inputs):
            raise InputError(
                f"inputs: got {inputs!r}; expected a list of names, each once"
            )
        if tubelet_size < 1:
            raise InputError(f"tubelet_size: got {tubelet_size}; expected 1 or more")
        for name in inputs:
            check_choice("inputs", name, CHANNELS)
        self.inputs = tuple(inputs)
        channels = sum(CHANNELS[name] for name in self.inputs)
        layers: list[nn.Module] = []
        for step in range(steps):
            width = embed_dims // 2 ** (steps - 1 - step)
            layers += [
                nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False),
                nn.GroupNorm(width // 8 if width % 8 == 0 else 1, width),
                nn.GELU(),
            ]
            channels = width
        self.convs = nn.Sequential(*layers)
        size = (tubelet_size, 1, 1)
        self.proj = nn.Conv3d(channels, embed_dims, kernel_size=size, stride=size)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, t, h, w), normalised -> (b, t', p, d), patches row by row."""
        made = {"video": lambda: x, "motion": lambda: motion_of(x)}
        return self.patches(torch.cat([made[name]() for name in self.inputs], dim=1))

    def patches(self, x: Tensor) -> Tensor:
        """Channels (b, c, t, h, w) of the inputs, in turn -> (b, t', p, d)."""
        times = x.shape[2]
        x = self.convs(x.transpose(1, 2).flatten(0, 1))  # (b t, d, h', w')
        x = x.unflatten(0, (-1, times)).transpose(1, 2)  # (b, d, t, h', w')
        return self.proj(x).flatten(3).permute(0, 2, 3, 1)  # (b, t', p, d)
