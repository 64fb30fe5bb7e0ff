"""Results put together by writing into zeros, and by stacking branches and averaging."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register


class SliceWriter(nn.Module):
    def __init__(self, left: int = 8, right: int = 6):
        super().__init__()
        self.left, self.right = left, right
        self.conv1 = nn.Conv2d(3, left, 3, padding=1)
        self.conv2 = nn.Conv2d(3, right, 5, padding=2)
        self.conv3 = nn.Conv2d(left + right, 10, 3)
        self.fc = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        out = torch.zeros(n, self.left + self.right, h, w, dtype=x.dtype, device=x.device)
        out[:, : self.left] = F.relu(self.conv1(x))
        out[:, self.left :] = F.relu(self.conv2(x))
        x = F.relu(self.conv3(out))
        return self.fc(x.mean((2, 3)))


class ChannelWriter(nn.Module):
    """Overwrites part of a map in place, as partial convolutions do."""

    def __init__(self, dim: int = 12, n_div: int = 3):
        super().__init__()
        self.dim_conv3 = dim // n_div
        self.conv1 = nn.Conv2d(3, dim, 3, padding=1)
        self.partial_conv3 = nn.Conv2d(self.dim_conv3, self.dim_conv3, 3, 1, 1, bias=False)
        self.conv2 = nn.Conv2d(dim, dim, 1)
        self.fc = nn.Linear(dim, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.conv1(x))
        y = x.clone()
        y[:, : self.dim_conv3, :, :] = self.partial_conv3(x[:, : self.dim_conv3, :, :])
        x = x + F.gelu(self.conv2(y))
        return self.fc(x.mean((2, 3)))


class StackedBranches(nn.Module):
    def __init__(self, dim: int = 12, num_branches: int = 3):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, dim))
            for _ in range(num_branches)
        )
        self.head = nn.Linear(dim, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.stack([branch(x) for branch in self.branches]).mean(0)
        return self.head(torch.tanh(x))


@register("slice_writer")
def slice_writer():
    return SliceWriter(), torch.randn(2, 3, 8, 8)


@register("partial_conv")
def partial_conv():
    return ChannelWriter(), torch.randn(2, 3, 8, 8)


@register("stacked_branches")
def stacked_branches():
    return StackedBranches(), torch.randn(2, 8)
