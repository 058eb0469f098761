"""The two linear layers of a Transformer's block, and how linear layers start."""

from mmengine.model import BaseModule
from torch import Tensor, nn


class Mlp(BaseModule):
    """Two linear layers, by default four times as wide inside and with GELU."""

    def __init__(
        self,
        embed_dims: int,
        act: type[nn.Module] = nn.GELU,
        *,
        hidden_dims: int | None = None,
    ) -> None:
        super().__init__()
        hidden_dims = hidden_dims or 4 * embed_dims
        self.fc1 = nn.Linear(embed_dims, hidden_dims)
        self.act = act()
        self.fc2 = nn.Linear(hidden_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        return self.fc2(self.act(self.fc1(x)))


def init_linear(module: nn.Module) -> None:
    """Linear layers: normal 0.02, bias zero."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
