"""Two inputs met by nn.Bilinear."""

import torch
from torch import Tensor, nn

from zoo import register


class BilinearNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Linear(6, 10)
        self.right = nn.Linear(5, 8)
        self.bilinear = nn.Bilinear(10, 8, 12)
        self.out = nn.Linear(12, 3)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        x1 = torch.relu(self.left(x1))
        x2 = torch.relu(self.right(x2))
        return self.out(torch.tanh(self.bilinear(x1, x2)))


@register("bilinear")
def bilinear():
    return BilinearNet(), (torch.randn(2, 6), torch.randn(2, 5))
