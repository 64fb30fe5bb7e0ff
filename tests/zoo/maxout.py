"""Maxout: each unit is the largest of several linear pieces, found by a view."""

import torch
from torch import Tensor, nn

from zoo import register


class Maxout(nn.Module):
    def __init__(self, d_in: int, d_out: int, pool_size: int):
        super().__init__()
        self.d_in, self.d_out, self.pool_size = d_in, d_out, pool_size
        self.lin = nn.Linear(d_in, d_out * pool_size)

    def forward(self, inputs: Tensor) -> Tensor:
        shape = list(inputs.size())
        shape[-1] = self.d_out
        shape.append(self.pool_size)
        max_dim = len(shape) - 1
        out = self.lin(inputs)
        m, _ = out.view(*shape).max(max_dim)
        return m


@register("maxout")
def maxout():
    model = nn.Sequential(Maxout(12, 16, 3), nn.Dropout(0.2), Maxout(16, 10, 2), nn.Linear(10, 5))
    return model, torch.randn(2, 12)
