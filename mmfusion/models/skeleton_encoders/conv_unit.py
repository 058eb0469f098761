"""A convolution over time with batch norm, as DD-Net has them.

Shapes: b clips, t frames, f channels in, d channels out.
"""

from torch import Tensor, nn


class ConvUnit(nn.Sequential):
    """A convolution over time, batch norm, leaky ReLU: (b, f, t) -> (b, d, t).

    Args:
        in_dims: f. out_dims: d. kernel: frames that it sees, an odd number.
    """

    def __init__(self, in_dims: int, out_dims: int, kernel: int) -> None:
        super().__init__(
            nn.Conv1d(in_dims, out_dims, kernel, padding=kernel // 2, bias=False),
            RowNorm(out_dims),
            nn.LeakyReLU(0.2),
        )


class RowNorm(nn.BatchNorm1d):
    """Batch norm that takes a batch of one value a channel, as the last one may be.

    It has no variance: it is normalised by the statistics so far, and not counted.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(b, d) or (b, d, t) -> the same shape."""
        if self.training and input.numel() == input.shape[1]:
            return nn.functional.batch_norm(
                input,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                eps=self.eps,
            )
        return super().forward(input)
