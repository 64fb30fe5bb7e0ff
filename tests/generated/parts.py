"""What blocks of both domains are made of."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generated.program import Block

Shape = tuple[int, int]
"""Width, and side or length."""


def activate(name: str, x: Tensor) -> Tensor:
    """Apply an activation function; several do not keep zero."""
    if name == "in place":
        return F.relu_(x.clone())
    functions = {
        "relu": F.relu, "gelu": F.gelu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "softplus": F.softplus,
        "bump": lambda x: torch.exp(-x * x), "cosine": torch.cos, "leaky": F.leaky_relu,
        "shifted": lambda x: torch.relu(x + 0.3) - 0.1, "none": lambda x: x,
    }  # fmt: skip
    return functions[name](x)


def divided(width: int, groups: int) -> int:
    """Return the largest number of groups up to the one asked for into which a width divides."""
    return math.gcd(width, groups)


def multiple(width: int, of: int) -> int:
    """Return the smallest multiple that is not less than a width."""
    return -(-width // of) * of


class RMS(nn.Module):
    """Root mean square over the last axis, written by hand."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


class Last(nn.Module):
    """A module for the last axis, on the channels of maps."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.movedim(1, -1)).movedim(-1, 1)


class Spread(nn.Module):
    """A normalisation of maps, which torch runs only where there is more than one position."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x) if x[0, 0].numel() > 1 else x + 0.0


class Nested(nn.Module):
    """Blocks within a block: residual, side by side, summed, multiplied, or on a part of the width."""

    def __init__(self, block: Block, shape: Shape, make, projection) -> None:
        super().__init__()
        self.block, self.axis = block, 1 if projection.__name__ == "conv" else -1
        self.wide = shape[0]
        self.taken = max(1, shape[0] // 2)
        start = (self.taken, shape[1]) if block.kind == "part" else shape
        chosen = block.inner[:1] if block.kind in ("part", "residual") else block.inner
        self.branches = nn.ModuleList()
        widths, lengths = [], []
        for inner in chosen:
            branch, now = nn.Sequential(), start
            for each in inner:
                module = make(each, now)
                branch.append(module)
                now = module.shape
            self.branches.append(branch)
            widths.append(now[0])
            lengths.append(now[1])
        self.length = (
            min([*lengths, shape[1]]) if block.kind in ("part", "residual") else min(lengths)
        )
        want = shape[0] if block.kind == "residual" else widths[0]
        if block.kind in ("residual", "sum", "product"):
            self.fits = nn.ModuleList(
                nn.Identity() if width == want else projection(width, want, block.bias)
                for width in widths
            )
            total = want
        elif block.kind == "concat":
            total = sum(widths)
        else:
            total = widths[0] + shape[0] - self.taken
        self.shape = (total, self.length)

    def same(self, x: Tensor) -> Tensor:
        """Crop to the common side or length."""
        if self.axis == 1:
            return x[:, :, : self.length, : self.length]
        return x[:, : self.length]

    def forward(self, x: Tensor) -> Tensor:
        kind, form = self.block.kind, self.block.form
        if kind == "part":
            if form % 3 == 0:
                first, rest = torch.split(x, [self.taken, self.wide - self.taken], dim=self.axis)
            elif form % 3 == 1:
                first = x.narrow(self.axis, 0, self.taken)
                rest = x.narrow(self.axis, self.taken, self.wide - self.taken)
            else:
                first = x[:, : self.taken] if self.axis == 1 else x[..., : self.taken]
                rest = x[:, self.taken :] if self.axis == 1 else x[..., self.taken :]
            pieces = [self.same(self.branches[0](first)), self.same(rest)]
            return torch.cat(pieces if form % 2 else pieces[::-1], self.axis)
        results = [self.same(branch(x)) for branch in self.branches]
        if kind == "concat":
            return torch.cat(results, self.axis)
        results = [fit(each) for fit, each in zip(self.fits, results, strict=True)]
        if kind == "residual":
            return activate(self.block.act, self.same(x) + results[0])
        total = results[0]
        for each in results[1:]:
            if kind == "product":
                total = total * activate(self.block.act, each)
            elif form % 2:
                total = total.clone()
                total += each
            else:
                total = total + each
        return total
