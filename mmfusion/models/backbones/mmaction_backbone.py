"""Any video backbone of MMAction2 as an encoder.

Shapes: b clips, t frames, h w pixels, l tokens, d channels.
"""

from mmengine.model import BaseModule
from torch import Tensor

from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError


@MODELS.register_module()
class MMActionBackbone(BaseModule):
    """Turn an MMAction2 backbone's output into tokens.

    A feature map (b, d, t', h', w') becomes t' h' w' tokens without a CLS token; a
    vector (b, d) becomes one token; MViT's (tokens, CLS) pair stays what it is.

    Args:
        backbone: its config, such as ``dict(type='mmaction.X3D', ...)``.
        embed_dims: d, checked against what the backbone gives.

    Example:
        >>> model = MMActionBackbone(
        ...     dict(type="mmaction.C3D", out_dim=32), embed_dims=32)  # doctest: +SKIP
    """

    def __init__(
        self,
        backbone: dict,
        embed_dims: int,
        *,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.backbone = MODELS.build(backbone)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> TokenFeatures:
        """(b, 3, t, h, w) and mask (b, t) or None -> tokens (b, l, d).

        A clip without any frame keeps its tokens but is marked as missing.

        Raises:
            ValueError: the backbone's output has an unknown form or another width.
        """
        tokens, cls = _tokens_and_cls(self.backbone(x))
        if tokens.shape[-1] != self.embed_dims:
            raise InputError(
                f"{type(self.backbone).__name__} gives width {tokens.shape[-1]},"
                f" embed_dims says {self.embed_dims}"
            )
        if mask is not None:
            mask = mask.any(1, keepdim=True).expand(-1, tokens.shape[1])  # (b, l)
        return TokenFeatures(tokens, cls, mask)


def _tokens_and_cls(out: object) -> tuple[Tensor, Tensor | None]:
    """The known forms of a backbone's output -> (b, l, d) and (b, d) or None."""
    cls = None
    while isinstance(out, (tuple, list)):
        if len(out) == 2 and isinstance(out[1], Tensor) and out[1].dim() == 2:
            out, cls = out  # MViT: the map or tokens, and the CLS token
        else:
            out = out[-1]  # the last stage
    if not isinstance(out, Tensor) or out.dim() not in (2, 3, 5):
        what = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise InputError(
            f"the backbone gave {what}, expected (b, d), (b, l, d) or (b, d, t, h, w)"
        )
    if out.dim() == 5:
        out = out.flatten(2).transpose(1, 2)  # (b, l, d)
    if out.dim() == 2:
        out = out.unsqueeze(1)  # (b, 1, d)
    return out, cls
