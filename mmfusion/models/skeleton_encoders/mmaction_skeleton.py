"""Any graph network of MMAction2 (STGCN, AAGCN...) as a skeleton encoder.

Shapes: b clips, t frames, m hands, j joints of one hand, c coordinates, d channels.
"""

from mmengine.model import BaseModule
from torch import Tensor

from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError


@MODELS.register_module()
class MMActionSkeleton(BaseModule):
    """Run an MMAction2 skeleton backbone on hands, as if they were persons.

    The graph of a hand's joints is MMAction2's own dict form of a layout, such as
    ``configs/_base_/models/mediapipe_graph.py``.

    Args:
        backbone: config, such as ``dict(type='mmaction.STGCN', graph_cfg=...)``.
        embed_dims: d, the backbone's output width.
        num_hands: m.

    Example:
        >>> graph = dict(num_node=4, inward=[(1, 0), (2, 1), (3, 2)], center=0)
        >>> stgcn = dict(
        ...     type="mmaction.STGCN", graph_cfg=dict(layout=graph), num_stages=2,
        ...     base_channels=8, inflate_stages=[], down_stages=[])
        >>> model = MMActionSkeleton(stgcn, embed_dims=8)
        >>> import torch
        >>> model(torch.randn(1, 5, 8, 3)).tokens.shape
        torch.Size([1, 5, 8])
    """

    def __init__(
        self,
        backbone: dict,
        embed_dims: int,
        *,
        num_hands: int = 2,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.num_hands = num_hands
        self.backbone = MODELS.build(backbone)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """(b, t, m j, c) and mask (b, t, m j) or None -> tokens (b, t', d).

        A token is one output frame, the mean over hands and joints. Unseen joints are
        zero. A clip without any seen joint is marked as missing.

        Raises:
            ValueError: the joints are not those of m hands, or the backbone's output
                has another width.
        """
        if x.shape[2] % self.num_hands:
            raise InputError(
                f"skeleton has {x.shape[2]} joints, expected a multiple of"
                f" num_hands={self.num_hands}"
            )
        if mask is not None:
            x = x * mask.unsqueeze(-1)
        joints = x.unflatten(2, (self.num_hands, -1)).transpose(1, 2)  # (b, m, t, j, c)
        out = self.backbone(joints.contiguous())  # (b, m, d, t', j)
        tokens = out.mean(dim=(1, 4)).transpose(1, 2)  # (b, t', d)
        if tokens.shape[-1] != self.embed_dims:
            raise InputError(
                f"{type(self.backbone).__name__} gives width {tokens.shape[-1]},"
                f" embed_dims says {self.embed_dims}"
            )
        if mask is not None:
            seen = mask.flatten(1).any(1, keepdim=True)  # (b, 1)
            mask = seen.expand(-1, tokens.shape[1])  # (b, t')
        return TokenFeatures(tokens, None, mask)
