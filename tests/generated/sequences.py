"""Blocks of networks of sequences: (batch, length, features) to the same with other numbers."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from generated.parts import RMS, Nested, Shape, Spread, activate, divided, multiple
from generated.program import NESTING, Block


def linear(width: int, out: int, bias: bool) -> nn.Module:
    """Return what makes widths equal."""
    return nn.Linear(width, out, bias=bias)


class Steps(nn.Module):
    """A module for channels in second place, on the features of sequences."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.transpose(1, 2)).transpose(1, 2)


def norm(kind: str, width: int, groups: int, affine: bool) -> nn.Module:
    """Return a normalisation of features."""
    if kind == "batch":
        return Steps(nn.BatchNorm1d(width, affine=affine))
    if kind == "group":
        return Steps(Spread(nn.GroupNorm(divided(width, groups), width, affine=affine)))
    if kind == "instance":
        return Steps(Spread(nn.InstanceNorm1d(width, affine=affine)))
    if kind == "layer":
        return nn.LayerNorm(width, elementwise_affine=affine)
    return (RMS(width) if affine else nn.RMSNorm(width)) if kind == "rms" else nn.Identity()


class Linear(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block, self.shape = block, (block.width, shape[1])
        self.linear = nn.Linear(shape[0], block.width, bias=block.bias)
        self.norm = norm(block.norm, block.width, block.groups, block.form % 3 > 0)

    def forward(self, x: Tensor) -> Tensor:
        return activate(self.block.act, self.norm(self.linear(x)))


class Mlp(nn.Module):
    """Normalise, widen, narrow, add."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block, self.shape = block, shape
        self.norm = norm(block.norm, shape[0], block.groups, True)
        self.up = nn.Linear(shape[0], block.width, bias=block.bias)
        self.down = nn.Linear(block.width, shape[0])

    def forward(self, x: Tensor) -> Tensor:
        inner = self.down(activate(self.block.act, self.up(self.norm(x))))
        return x + inner if self.block.form % 2 else inner


class Attention(nn.Module):
    """Attention: fused or apart, heads by an integer or -1, by torch or by hand, with fewer keys than queries."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.form, self.shape = block.form, shape
        self.heads = max(1, block.groups)
        self.head_dim = max(1, block.width // 2)
        self.groups = (
            self.heads // 2 if block.form in (4, 5) and self.heads % 2 == 0 else self.heads
        )
        wide = self.heads * self.head_dim
        self.norm = norm(block.norm, shape[0], 1, True)
        if block.form < 4:
            self.qkv = nn.Linear(shape[0], 3 * wide, bias=block.bias)
        else:
            self.q = nn.Linear(shape[0], wide, bias=block.bias)
            self.k = nn.Linear(shape[0], self.groups * self.head_dim, bias=block.bias)
            self.v = nn.Linear(shape[0], self.groups * self.head_dim, bias=block.bias)
        self.out = nn.Linear(wide, shape[0])

    def queries(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values by head."""
        b, t, _ = x.shape
        if self.form == 0:
            q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        elif self.form == 1:
            q, k, v = (
                each.view(b, t, self.heads, -1).transpose(1, 2) for each in self.qkv(x).chunk(3, -1)
            )
        elif self.form == 2:
            q, k, v = (
                each.view(b, t, -1, self.head_dim).transpose(1, 2)
                for each in self.qkv(x).split(self.heads * self.head_dim, dim=2)
            )
        elif self.form == 3:
            q, k, v = (
                self.qkv(x).view(b, t, self.heads, 3 * self.head_dim).transpose(1, 2).chunk(3, -1)
            )
        else:
            q = self.q(x).view(b, t, self.heads, self.head_dim).transpose(1, 2)
            k = self.k(x).view(b, t, self.groups, self.head_dim).transpose(1, 2)
            v = self.v(x).view(b, t, self.groups, self.head_dim).transpose(1, 2)
            if self.groups != self.heads:
                repeats = self.heads // self.groups
                if self.form == 5:
                    k, v = (
                        e[:, :, None].expand(-1, -1, repeats, -1, -1).flatten(1, 2) for e in (k, v)
                    )
                else:
                    k, v = (each.repeat_interleave(repeats, dim=1) for each in (k, v))
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        q, k, v = self.queries(self.norm(x))
        if self.form % 2:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.form == 7)
        else:
            scores = (q @ k.transpose(-2, -1)) / self.head_dim**0.5
            mixed = scores.softmax(-1) @ v
        return x + self.out(mixed.transpose(1, 2).reshape(b, t, -1))


class Gated(nn.Module):
    """An MLP with a gate."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block, self.shape, self.half = block, shape, block.width
        self.both = nn.Linear(shape[0], 2 * block.width, bias=block.bias)
        self.gate = nn.Linear(shape[0], block.width, bias=block.bias)
        self.up = nn.Linear(shape[0], block.width, bias=block.bias)
        self.down = nn.Linear(block.width, shape[0])

    def forward(self, x: Tensor) -> Tensor:
        form, act = self.block.form % 4, self.block.act
        if form == 0:
            return x + self.down(activate(act, self.gate(x)) * self.up(x))
        if form == 1:
            return x + self.down(F.glu(self.both(x)))
        if form == 2:
            value, gate = self.both(x).chunk(2, dim=-1)
        else:
            value, gate = self.both(x).split([self.half, self.half], -1)
        return self.down(value * activate(act, gate))


class Norm(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.norm, self.shape = norm(block.norm, shape[0], block.groups, block.form % 2 > 0), shape

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x)


class Conv(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        groups = divided(shape[0], block.groups)
        width = multiple(block.width, groups)
        self.block, self.shape = block, (width, shape[1])
        self.conv = nn.Conv1d(
            shape[0], width, 3, padding=2 if block.form % 2 else 1, groups=groups, bias=block.bias
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x.transpose(1, 2))
        if self.block.form % 2:
            y = y[..., :-2]
        return activate(self.block.act, y.permute(0, 2, 1))


class Mix(nn.Module):
    """Layers along the steps."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block, length = block, shape[1]
        self.up, self.down = nn.Linear(length, block.width), nn.Linear(block.width, length)
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        y = x.transpose(1, 2) if self.block.form % 2 else x.mT
        return x + self.down(activate(self.block.act, self.up(y))).transpose(1, 2)


class Scale(nn.Module):
    """Bare parameters: positions, scales, a token in front."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        (width, length), self.form = shape, block.form % 5
        self.position = nn.Parameter(0.1 * torch.randn(1, length, width))
        self.gamma = nn.Parameter(torch.randn(width))
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.shape = (width, length + 1) if self.form == 2 else shape

    def forward(self, x: Tensor) -> Tensor:
        if self.form == 0:
            return x + self.position
        if self.form == 1:
            return self.gamma * x
        if self.form == 2:
            return torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        if self.form == 3:
            return x + F.softplus(self.gamma)[None, None]
        return torch.addcmul(x, x, self.gamma)


class Grouped(nn.Module):
    """The features by groups, each group by the same layer."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block, self.groups = block, divided(shape[0], block.groups)
        self.linear = nn.Linear(shape[0] // self.groups, block.width, bias=block.bias)
        self.shape = (self.groups * block.width, shape[1])

    def forward(self, x: Tensor) -> Tensor:
        form = self.block.form % 3
        if form == 0:
            pieces = x.view(*x.shape[:-1], self.groups, -1)
            return self.linear(pieces).flatten(-2)
        if form == 1:
            return torch.cat([self.linear(each) for each in x.chunk(self.groups, -1)], -1)
        pieces = x.unflatten(-1, (self.groups, -1)).transpose(1, 2)
        return self.linear(pieces).transpose(1, 2).reshape(len(x), x.shape[1], -1)


class Reuse(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block, self.shape = block, shape
        self.first = nn.Linear(shape[0], block.width, bias=block.bias)
        self.back = nn.Linear(block.width, shape[0], bias=block.bias)

    def forward(self, x: Tensor) -> Tensor:
        form = self.block.form % 3
        if form == 0:  # the same weight there and back
            return F.linear(activate(self.block.act, self.first(x)), self.first.weight.t())
        for _ in range(form):
            x = self.back(activate(self.block.act, self.first(x)))
        return x


class Activation(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.block, self.shape = block, shape

    def forward(self, x: Tensor) -> Tensor:
        if self.block.form == 0:
            return x.softmax(-1)
        if self.block.form == 1:
            return F.normalize(x, dim=-1)
        if self.block.form == 2:
            return x.masked_fill(x < 0.1, -1.0)
        if self.block.form == 3:
            x = x.clone()
            x[:, 0] = 0
            return x
        return activate(self.block.act, x)


class Recurrent(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        kind = (nn.GRU, nn.LSTM, nn.RNN)[block.form % 3]
        self.rnn = kind(
            shape[0], block.width, batch_first=True, bias=block.bias, bidirectional=block.form > 5
        )
        self.shape = ((1 + (block.form > 5)) * block.width, shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0]


class Split(nn.Module):
    """Pieces that meet again in another way."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.form, self.pieces = block.form % 6, divided(shape[0], 2 + block.form % 2)
        self.shape = (shape[0] // self.pieces, shape[1]) if self.form == 5 else shape

    def forward(self, x: Tensor) -> Tensor:
        if self.form == 0:  # rotary, with an angle of one
            first, second = x.chunk(2, -1) if x.shape[-1] % 2 == 0 else (x, x)
            turned = torch.cat([-second, first], -1)[..., : x.shape[-1]]
            return x * 0.54 + turned * 0.84
        pieces = x.chunk(self.pieces, -1)
        if self.form < 3:
            return torch.cat(pieces[::-1], -1)
        if self.form == 3:
            return torch.stack(pieces, -1).flatten(-2)
        if self.form == 4:
            return torch.cat([pieces[0], *(a * b for a, b in pairwise(pieces))], -1)
        return torch.stack(pieces).sum(0)


class Multihead(nn.Module):
    """Torch's own attention."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.attention = nn.MultiheadAttention(
            shape[0], divided(shape[0], block.groups), bias=block.bias, batch_first=True
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(x, x, x, need_weights=False)[0]


class Einsum(nn.Module):
    """A bare weight, written as a sum over indices."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        (width, length), self.form = shape, block.form % 4
        self.heads = divided(block.width, block.groups)
        per_head = block.width // self.heads
        shapes = [
            (width, block.width), (block.width, width), (width, self.heads, per_head), (self.heads, width, per_head),
        ]  # fmt: skip
        self.weight = nn.Parameter(torch.randn(shapes[self.form]))
        self.shape = (block.width, length)

    def forward(self, x: Tensor) -> Tensor:
        if self.form == 0:
            return torch.einsum("btd,de->bte", x, self.weight)
        if self.form == 1:
            return torch.einsum("btd,ed->bte", x, self.weight)
        if self.form == 2:
            return torch.einsum("btd,dhe->bthe", x, self.weight).flatten(2)
        return torch.einsum("btd,hde->bthe", x, self.weight).reshape(*x.shape[:2], -1)


class Output(nn.Module):
    """A second output of the network."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.shape, self.head = shape, nn.Linear(shape[0], 2) if block.form % 3 else None
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(self.head(x) if self.head else x.sum(-1))
        return x


KINDS = {
    "linear": Linear, "mlp": Mlp, "attention": Attention, "gated": Gated, "norm": Norm, "conv": Conv, "mix": Mix,
    "scale": Scale, "grouped": Grouped, "reuse": Reuse, "activation": Activation, "recurrent": Recurrent,
    "split": Split, "multihead": Multihead, "einsum": Einsum, "output": Output,
}  # fmt: skip


def make(block: Block, shape: Shape) -> nn.Module:
    """Build a block for what comes into it."""
    return (
        Nested(block, shape, make, linear)
        if block.kind in NESTING
        else KINDS[block.kind](block, shape)
    )
