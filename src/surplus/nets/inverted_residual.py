"""The block of MobileNet-v2."""

from typing import final

from torch import Tensor, nn

from surplus.nets.pooled import normalised


@final
class InvertedResidual(nn.Module):
    """Widen by a 1x1 convolution, filter each map by 3x3, narrow by a linear 1x1 convolution; perhaps add the input.

    Reference: sandler2018mobilenetv2, Section 3.3 and Figure 4 (d).
    """

    def __init__(
        self, num_in: int, num_out: int, stride: int, expansion: int, residual: bool
    ) -> None:
        super().__init__()
        hidden = num_in * expansion
        layers = [normalised(num_in, hidden)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *layers,
            normalised(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, num_out, 1, bias=False),
            nn.BatchNorm2d(num_out),
        )
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = self.conv(x)
        return x + out if self.residual else out
