"""DD-Net: convolutions over time on joint distances and two speeds of motion.

Shapes: b clips, t frames, j joints of all hands one after the other, c coordinates,
f features of a frame, d channels.
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmfusion.models.skeleton_encoders.conv_unit import ConvUnit, RowNorm
from mmfusion.models.skeleton_encoders.joint_features import (
    check_sizes,
    check_skeleton,
    fill_unseen,
    joint_distances,
)
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError


@MODELS.register_module()
class DDNet(BaseModule):
    """The double-feature double-motion network of Yang et al. (arXiv 1907.09658).

    Three inputs, the distances of all pairs of joints and the motion over one and over
    two frames, are embedded apart, joined, and read by three blocks of convolutions
    with half the frames each time; the greatest value of each channel and two dense
    layers make the clip's vector. The paper's lite model has ``embed_dims=128``, its
    full one 512 with dense layers of 128 (here as wide as the tokens). Differences:
    unseen joints are interpolated over time, and the motion of no frame is stretched
    to that of all frames by the same linear resize.

    Args:
        embed_dims: d, 8 times the paper's number of filters.
        num_joints: joints of all hands together. num_hands: hands (or persons); their
            joints are treated as those of one skeleton.
        in_channels: coordinates of a joint. num_frames: a multiple of 8.
        drop_rate: of whole channels between convolutions; the dense layers have the
            paper's 0.5 and 0.3.

    Example:
        >>> import torch
        >>> features = DDNet(num_frames=16)(torch.randn(2, 16, 42, 3))
        >>> features.tokens.shape, features.cls.shape
        (torch.Size([2, 2, 128]), torch.Size([2, 128]))
    """

    def __init__(
        self,
        embed_dims: int = 128,
        *,
        num_joints: int = 42,
        num_hands: int = 2,
        in_channels: int = 3,
        num_frames: int = 32,
        drop_rate: float = 0.1,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if embed_dims < 8 or embed_dims % 8 or num_frames < 8 or num_frames % 8:
            raise InputError(
                f"embed_dims={embed_dims}, num_frames={num_frames}: expected multiples"
                " of 8"
            )
        check_sizes(num_joints, num_hands, in_channels)
        if num_joints < 2:
            raise InputError("num_joints=1: expected 2 or more, as it reads distances")
        self.embed_dims = embed_dims
        self.num_hands = num_hands
        self.input_shape = (num_frames, num_joints, in_channels)
        filters = embed_dims // 8
        pairs, places = num_joints * (num_joints - 1) // 2, num_joints * in_channels
        self.embeds = ModuleList(
            [_embed(size, filters, drop_rate) for size in (pairs, places, places)]
        )
        widths = (3 * filters, 2 * filters, 4 * filters, 8 * filters)
        self.blocks = ModuleList(
            [
                nn.Sequential(
                    ConvUnit(width, wider, 3),
                    ConvUnit(wider, wider, 3),
                    nn.MaxPool1d(2) if wider < embed_dims else nn.Identity(),
                    nn.Dropout1d(drop_rate),
                )
                for width, wider in zip(widths, widths[1:], strict=False)
            ]
        )
        self.dense = nn.Sequential(*_dense(embed_dims, 0.5), *_dense(embed_dims, 0.3))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """Encode skeleton sequences.

        Args:
            x: (b, t, j, c). mask: (b, t, j) bool, False for a joint that was not seen;
                None means that all were.

        Returns:
            tokens (b, t / 8, d), cls (b, d), mask (b, t / 8), False where no joint was
            seen in a token's frames, or None.

        Raises:
            InputError: x or the mask has another size than the model was built for.
        """
        check_skeleton(x, mask, self.input_shape)
        x = fill_unseen(x, mask)
        times = x.shape[1]
        places = x.flatten(2).transpose(1, 2)  # (b, j c, t)
        inputs = (
            joint_distances(x).transpose(1, 2),  # (b, j (j - 1) / 2, t)
            _motion(places, times),
            _motion(places[:, :, ::2], times // 2),
        )
        slow_rate = [
            embed(part) for embed, part in zip(self.embeds, inputs, strict=True)
        ]
        slow_rate[:2] = [F.max_pool1d(part, 2) for part in slow_rate[:2]]
        y = torch.cat(slow_rate, dim=1)  # (b, 3 filters, t / 2)
        for block in self.blocks:
            y = block(y)
        cls = self.dense(y.amax(dim=2))  # (b, d)
        if mask is not None:
            mask = mask.any(2).unflatten(1, (-1, 8)).any(2)  # (b, t / 8)
        return TokenFeatures(y.transpose(1, 2), cls, mask)


def _embed(size: int, filters: int, drop_rate: float) -> nn.Sequential:
    """(b, size, t) -> (b, filters, t)."""
    return nn.Sequential(
        ConvUnit(size, 2 * filters, 1),
        nn.Dropout1d(drop_rate),
        ConvUnit(2 * filters, filters, 3),
        nn.Dropout1d(drop_rate),
        ConvUnit(filters, filters, 1),
        nn.Dropout1d(drop_rate),
    )


def _dense(width: int, drop_rate: float) -> list[nn.Module]:
    """A dense layer on (b, width)."""
    return [
        nn.Linear(width, width, bias=False),
        RowNorm(width),
        nn.LeakyReLU(0.2),
        nn.Dropout(drop_rate),
    ]


def _motion(places: Tensor, times: int) -> Tensor:
    """Steps from frame to frame of (b, f, t'), stretched to (b, f, times)."""
    return F.interpolate(places.diff(dim=2), size=times, mode="linear")
