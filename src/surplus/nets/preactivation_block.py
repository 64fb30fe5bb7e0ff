"""The residual block with its normalisations and rectifiers before the convolutions."""

from typing import final

from torch import Tensor, nn


@final
class PreactivationBlock(nn.Module):
    """Twice batch normalisation, rectifier and 3x3 convolution, added to the input.

    Where the shape changes, a 1x1 convolution of the first rectifier's output takes the input's place.

    Reference: zagoruyko2016wide, Figure 1 (c) and (d).
    """

    def __init__(self, num_in: int, width: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(num_in)
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(num_in, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.downsample = None
        if stride != 1 or num_in != width:
            self.downsample = nn.Conv2d(num_in, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        active = self.relu(self.bn1(x))
        residual = self.dropout(self.relu(self.bn2(self.conv1(active))))
        shortcut = x if self.downsample is None else self.downsample(active)
        return shortcut + self.conv2(residual)
