"""Blocks of networks of images: (batch, channels, side, side) to the same with other numbers."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generated.parts import RMS, Last, Nested, Shape, Spread, activate, divided, multiple
from generated.program import NESTING, Block


def conv(width: int, out: int, bias: bool) -> nn.Module:
    """Return what makes widths equal."""
    return nn.Conv2d(width, out, 1, bias=bias)


def norm(kind: str, width: int, groups: int, affine: bool) -> nn.Module:
    """Return a normalisation of channels."""
    if kind == "batch":
        return nn.BatchNorm2d(width, affine=affine)
    if kind == "group":
        return Spread(nn.GroupNorm(divided(width, groups), width, affine=affine))
    if kind == "instance":
        return Spread(nn.InstanceNorm2d(width, affine=affine))
    if kind == "layer":
        return Last(nn.LayerNorm(width, elementwise_affine=affine))
    return Last(RMS(width)) if kind == "rms" else nn.Identity()


class Conv(nn.Module):
    """Convolution, normalisation, activation."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        width = multiple(block.width, divided(shape[0], block.groups))
        size = 3 if block.form % 2 else 1
        self.block = block
        self.conv = nn.Conv2d(
            shape[0], width, size, padding=size // 2, groups=divided(shape[0], block.groups), bias=block.bias,
            padding_mode="zeros" if block.form < 6 or shape[1] < 2 else "reflect",
        )  # fmt: skip
        self.norm = norm(block.norm, width, block.groups, block.form % 3 > 0)
        self.shape = (width, shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return activate(self.block.act, self.norm(self.conv(x)))


class Depthwise(nn.Module):
    """A convolution of each channel by itself, with one or two maps each, and a pointwise one."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        wide = shape[0] * (1 + block.form % 2)
        self.block = block
        self.deep = nn.Conv2d(shape[0], wide, 3, padding=1, groups=shape[0], bias=block.bias)
        self.norm = norm(block.norm, wide, block.groups, True)
        self.point = nn.Conv2d(wide, block.width, 1) if block.form % 4 < 2 else nn.Identity()
        self.shape = (block.width if block.form % 4 < 2 else wide, shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return self.point(activate(self.block.act, self.norm(self.deep(x))))


class Glu(nn.Module):
    """A gated linear unit, in four ways."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.form, self.half = block.form % 5, block.width
        self.both = nn.Conv2d(shape[0], 2 * block.width, 1, bias=block.bias)
        self.shape = (block.width, shape[1])

    def forward(self, x: Tensor) -> Tensor:
        both = self.both(x)
        if self.form == 0:
            return F.glu(both, 1)
        if self.form == 1:
            value, gate = both.chunk(2, 1)
        elif self.form == 2:
            value, gate = both[:, : self.half], both[:, self.half :]
        elif self.form == 3:
            value, gate = both[:, ::2], both[:, 1::2]
        else:
            value, gate = both.unflatten(1, (2, -1)).unbind(1)
        return value * torch.sigmoid(gate)


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block, self.shape = block, shape
        self.down = nn.Conv2d(shape[0], block.width, 1, bias=block.bias)
        self.up = nn.Conv2d(block.width, shape[0], 1)
        self.first, self.second = nn.Linear(shape[0], block.width), nn.Linear(block.width, shape[0])

    def forward(self, x: Tensor) -> Tensor:
        if self.block.form % 2:
            mean = F.adaptive_avg_pool2d(x, 1)
            return x * torch.sigmoid(self.up(activate(self.block.act, self.down(mean))))
        mean = x.mean((2, 3))
        gate = torch.sigmoid(self.second(activate(self.block.act, self.first(mean))))
        return x * (gate[:, :, None, None] if self.block.form % 4 else gate.view(*gate.shape, 1, 1))


class SpatialGate(nn.Module):
    """A gate for each position, from statistics over channels or from a convolution to one map."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.form, self.shape = block.form % 4, shape
        self.one = nn.Conv2d(shape[0], 1, 1)
        self.two = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.form == 0:
            return x * torch.sigmoid(self.one(x))
        if self.form == 1:
            return x * torch.sigmoid(x.mean(1, keepdim=True))
        if self.form == 2:
            statistics = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
            return x * torch.sigmoid(self.two(statistics))
        return x / (1 + x.norm(dim=1, keepdim=True))


class Norm(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.norm, self.shape = norm(block.norm, shape[0], block.groups, block.form % 2 > 0), shape

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class Pool(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.form = block.form % 3
        self.works = shape[1] >= 2
        self.shape = (shape[0], shape[1] // 2 if self.works else shape[1])

    def forward(self, x: Tensor) -> Tensor:
        if not self.works:
            return x
        if self.form == 2:
            return F.adaptive_avg_pool2d(x, self.shape[1])
        return F.max_pool2d(x, 2) if self.form else F.avg_pool2d(x, 2)


class Transposed(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block = block
        groups = divided(shape[0], block.groups) if block.form % 2 else 1
        width = multiple(block.width, groups)
        if block.form == 7:
            groups = width = shape[0]
        stride = 2 if shape[1] < 4 else 1
        self.up = nn.ConvTranspose2d(
            shape[0], width, stride, stride=stride, groups=groups, bias=block.bias
        )
        self.norm = norm(block.norm, width, block.groups, True)
        self.shape = (width, stride * shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return activate(self.block.act, self.norm(self.up(x)))


class Shuffle(nn.Module):
    """Pixel shuffle, pixel unshuffle, channel shuffle by hand or by torch, maxout."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.form, (width, side) = block.form % 5, shape
        self.groups = divided(width, block.groups)
        wanted = multiple(width, 4 if self.form == 0 else 2)
        self.widen = nn.Conv2d(width, wanted, 1) if self.form in (0, 4) else nn.Identity()
        if self.form == 1 and side % 2:
            self.form = 2
        self.shape = {
            0: (wanted // 4, 2 * side), 1: (4 * width, side // 2), 2: shape, 3: shape, 4: (wanted // 2, side),
        }[self.form]  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.widen(x)
        if self.form == 0:
            return F.pixel_shuffle(x, 2)
        if self.form == 1:
            return F.pixel_unshuffle(x, 2)
        if self.form == 2:
            n, c, h, w = x.shape
            return (
                x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
            )
        if self.form == 3:
            return F.channel_shuffle(x, self.groups)
        return x.view(x.shape[0], -1, 2, *x.shape[2:]).amax(2)


class Resize(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.form, side = block.form % 4, shape[1]
        self.side = min(2 * side, 6)
        self.shape = (shape[0], side + 2 if self.form == 3 and side < 6 else self.side)

    def forward(self, x: Tensor) -> Tensor:
        if self.form == 3 and x.shape[-1] < 6:
            return F.pad(x, (1, 1, 1, 1))
        mode = "bilinear" if self.form == 1 else "nearest"
        return F.interpolate(x, size=(self.side, self.side), mode=mode)


class Attention(nn.Module):
    """Attention between positions."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.form, self.shape, self.heads = block.form, shape, divided(block.width, block.groups)
        self.qkv = nn.Conv2d(shape[0], 3 * block.width, 1, bias=block.bias)
        self.out = nn.Conv2d(block.width, shape[0], 1)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        if self.form % 2:
            q, k, v = self.qkv(x).flatten(2).unflatten(1, (3, self.heads, -1)).unbind(1)
        else:
            q, k, v = (
                each.reshape(n, self.heads, -1, h * w) for each in self.qkv(x).chunk(3, dim=1)
            )
        scores = (q.transpose(-2, -1) @ k) * 0.5
        mixed = v @ scores.softmax(-1).transpose(-2, -1)
        return x + self.out(mixed.reshape(n, -1, h, w))


class Fold(nn.Module):
    """Views of every sort around layers on other axes."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        (width, side), self.form = shape, block.form % 6
        self.over_side = nn.Linear(side, side, bias=block.bias)
        self.over_all = nn.Linear(width * side * side, block.width, bias=block.bias)
        self.over_column = nn.Linear(width * side, width * side, bias=block.bias)
        self.wide, self.side = width, side
        self.shape = (block.width, 1) if self.form in (2, 3) else shape

    def forward(self, x: Tensor) -> Tensor:
        if self.form == 0:
            return self.over_side(x)
        if self.form == 1:
            return self.over_side(x.transpose(2, 3)).transpose(2, 3)
        if self.form == 2:
            return self.over_all(x.flatten(1))[:, :, None, None]
        if self.form == 3:
            return self.over_all(x.permute(0, 2, 3, 1).reshape(x.shape[0], -1)).view(
                len(x), -1, 1, 1
            )
        if self.form == 4:
            rows = x.permute(0, 3, 1, 2).reshape(len(x), self.side, -1)
            rows = self.over_column(rows)
            return rows.view(len(x), self.side, self.wide, self.side).permute(0, 2, 3, 1)
        return x.flip(-1).roll(1, 2).contiguous()


class Scale(nn.Module):
    """Bare parameters: a scale and a shift for each channel, or one for all."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.form, self.shape = block.form % 4, shape
        self.gamma = nn.Parameter(torch.ones(shape[0] if self.form else 1, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, shape[0], 1, 1))
        self.register_buffer("mask", (torch.rand(shape[0]) > 0.3).double())

    def forward(self, x: Tensor) -> Tensor:
        if self.form == 2:
            return x * self.mask[:, None, None]
        if self.form == 3:
            return torch.where(x > self.beta, x, self.gamma * x)
        return x * self.gamma + self.beta


class Reuse(nn.Module):
    """One convolution, run several times."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block, self.shape = block, shape
        self.conv = nn.Conv2d(shape[0], shape[0], 1, bias=block.bias)
        self.norm = norm(block.norm, shape[0], block.groups, True)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(1 + self.block.form % 3):
            x = self.norm(activate(self.block.act, self.conv(x)))
        return x


class Activation(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block, self.shape = block, shape
        self.prelu = nn.PReLU(shape[0]) if block.form == 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.block.form == 1:
            return x.softmax(1)
        if self.block.form == 2:
            return torch.cat([x, -x], 1)[:, : x.shape[1]]
        return activate(self.block.act, self.prelu(x))


class Split(nn.Module):
    """Halves and thirds that meet again in another order."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.form = block.form % 6
        self.pieces = divided(shape[0], 2 + block.form % 2)
        self.shape = shape if self.form != 5 else (shape[0] // self.pieces, shape[1])

    def forward(self, x: Tensor) -> Tensor:
        pieces = x.chunk(self.pieces, 1)
        if self.form < 2:
            return torch.cat(pieces[::-1], 1)
        if self.form < 4:
            return torch.cat([pieces[0], *(a + b for a, b in pairwise(pieces))], 1)
        if self.form == 4:
            return torch.stack(pieces, 2).flatten(1, 2)
        return sum(pieces)


class Output(nn.Module):
    """A second output of the network."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.head = nn.Linear(shape[0], 2) if block.form % 3 else None
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(self.head(x.mean((-2, -1))) if self.head else x.sum(1))
        return x


KINDS = {
    "conv": Conv, "depthwise": Depthwise, "glu": Glu, "squeeze": Squeeze, "spatial gate": SpatialGate, "norm": Norm,
    "pool": Pool, "transposed": Transposed, "shuffle": Shuffle, "resize": Resize, "attention": Attention,
    "fold": Fold, "scale": Scale, "reuse": Reuse, "activation": Activation, "split": Split, "output": Output,
}  # fmt: skip


def make(block: Block, shape: Shape) -> nn.Module:
    """Build a block for what comes into it."""
    return (
        Nested(block, shape, make, conv)
        if block.kind in NESTING
        else KINDS[block.kind](block, shape)
    )
