"""FeatureEncoder: features that come from a file, as tokens.

Shapes: b clips, l features of a clip, c their width, d channels.
"""

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError


@MODELS.register_module()
class FeatureEncoder(BaseModule):
    """Take features as tokens, by a linear map where another width is wanted.

    Args:
        in_dims: c. embed_dims: d; None leaves them as they are.

    Example:
        >>> import torch
        >>> FeatureEncoder(352, embed_dims=8)(torch.randn(2, 5, 352)).tokens.shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        in_dims: int,
        embed_dims: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_dims, self.embed_dims = in_dims, embed_dims or in_dims
        self.proj = nn.Linear(in_dims, embed_dims) if embed_dims else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """(b, l, c) and mask (b, l) or None -> tokens (b, l, d), no cls.

        Raises:
            ValueError: another shape.
        """
        if x.ndim != 3 or x.shape[-1] != self.in_dims:
            raise InputError(
                f"features have the shape {tuple(x.shape)}, expected"
                f" (b, l, {self.in_dims}), as in_dims is {self.in_dims}"
            )
        return TokenFeatures(self.proj(x), None, mask)
