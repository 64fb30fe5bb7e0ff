"""Networks that read their parameters in all sorts of ways, with data of seven examples."""

import torch
import torch.nn.functional as F
from torch import nn

BATCH, CLASSES = 7, 3


class Of(nn.Module):
    """Runs a function over modules or parameters that it holds."""

    def __init__(self, run, **held):
        super().__init__()
        for name, each in held.items():
            setattr(self, name, each)
        self._run = run

    def forward(self, x):
        return self._run(self, x)


def parameter(*shape):
    return nn.Parameter(0.5 * torch.randn(shape))


def images(*shape):
    return torch.randn(BATCH, *shape, dtype=torch.float64)


def tokens(length, size=6):
    return torch.randint(0, size, (BATCH, length))


def mlp():
    return nn.Sequential(
        nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)
    ), images(5)


def cnn():
    return (
        nn.Sequential(
            nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 8, (3, 2), padding="same", dilation=2, bias=False),
            nn.Tanh(),
            nn.Conv2d(8, 8, 1, groups=8),
            nn.Flatten(),
            nn.Linear(8 * 16, 3),
        ),
        images(4, 8, 7),
    )


def wide_cnn():
    """Few positions, many weights: the other of the two ways."""
    return (
        nn.Sequential(nn.Conv2d(16, 24, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 4, 3)),
        images(16, 4, 4),
    )


def conv1d():
    return (
        nn.Sequential(
            nn.Conv1d(3, 5, 4, padding=2, padding_mode="circular"),
            nn.ReLU(),
            nn.Flatten(),
            nn.LazyLinear(3),
        ),
        images(3, 9),
    )


def conv3d():
    return nn.Sequential(nn.Conv3d(2, 4, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)), images(
        2, 3, 4, 3
    )


def transposed():
    return (
        nn.Sequential(
            nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
            nn.Tanh(),
            nn.Flatten(),
            nn.LazyLinear(3),
        ),
        images(4, 3, 4),
    )


def norms():
    return (
        nn.Sequential(
            nn.Conv2d(3, 6, 3),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.GroupNorm(3, 6),
            nn.PReLU(6),
            nn.Flatten(2),
            nn.LayerNorm(16),
            nn.Flatten(),
            nn.BatchNorm1d(96),
            nn.RMSNorm(96),
            nn.Linear(96, 3),
        ),
        images(3, 6, 6),
    )


def instance_norm():
    return (
        nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.InstanceNorm2d(4, affine=True),
            nn.ReLU(),
            nn.Flatten(),
            nn.LazyLinear(3),
        ),
        images(3, 5, 5),
    )


def _run_block(self, x):
    if not self.first.self_attn.batch_first:
        return self.out(self.first(x.transpose(0, 1)).mean(0))
    return self.out(self.first(x).mean(1))


def block(batch_first):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
    return Of(_run_block, first=layer, out=nn.Linear(8, 3)), images(5, 8)


def cross_attention():
    def run(self, x):
        query, memory = x[:, :2], x[:, 2:]
        return self.out(self.attention(query, memory, memory)[0].flatten(1))

    attention = nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=True)
    return Of(run, attention=attention, out=nn.Linear(16, 3)), images(6, 8)


def language(tied):
    def run(self, x):
        hidden = torch.tanh(self.mix(self.table(x)))
        return (hidden @ self.table.weight.T if tied else self.out(hidden)).transpose(1, 2)

    held = {} if tied else {"out": nn.Linear(8, 6)}
    return Of(run, table=nn.Embedding(6, 8, padding_idx=1), mix=nn.Linear(8, 8), **held), tokens(5)


def twice():
    def run(self, x):
        return self.out(torch.relu(self.inner(torch.relu(self.inner(x)))))

    return Of(run, inner=nn.Linear(6, 6), out=nn.Linear(6, 3)), images(6)


def twice_convolved():
    def run(self, x):
        x = torch.relu(self.inner(x))
        return self.out(self.inner(F.max_pool2d(x, 2)).mean((2, 3)))

    return Of(run, inner=nn.Conv2d(4, 4, 3, padding=1), out=nn.Linear(4, 3)), images(4, 6, 6)


def twice_in_two_ways():
    def run(self, x):
        return self.out(torch.tanh(x @ self.weight) @ self.weight.T)

    return Of(run, weight=parameter(6, 4), out=nn.Linear(6, 3)), images(6)


def bare():
    """Parameters in plain arithmetic, with and without an axis for the batch."""

    def run(self, x):
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place[:, : x.shape[1] + 1]
        x = (x * self.scale - self.shift) / self.divisor
        x = torch.einsum("btd,de->bte", x, self.weight) + self.level
        x = torch.einsum("bte,hef->bthf", x, self.heads).flatten(1)
        return self.out(x) * self.temperature + (x @ self.vector)[:, None] * x[:, :3]

    held = {
        "token": parameter(1, 1, 4),
        "place": parameter(1, 9, 4),
        "scale": parameter(4),
        "shift": parameter(1, 1, 4),
        "divisor": nn.Parameter(1 + torch.rand(3, 1)),
        "weight": parameter(4, 5),
        "level": parameter(1),
        "heads": parameter(2, 5, 3),
        "vector": parameter(18),
        "temperature": parameter(),
        "out": nn.Linear(18, 3),
    }
    return Of(run, **held), images(2, 4)


def reversed_product():
    """Features before examples."""

    def run(self, x):
        return (self.second @ torch.relu(self.first @ x.T + self.bias[:, None])).T

    return Of(run, first=parameter(6, 5), second=parameter(3, 6), bias=parameter(6)), images(5)


def frames():
    """Each example is several images for the convolution."""

    def run(self, x):
        found = torch.relu(self.conv(x.flatten(0, 1))).mean((2, 3))
        return self.out(found.unflatten(0, x.shape[:2]).flatten(1))

    return Of(run, conv=nn.Conv2d(2, 4, 3), out=nn.Linear(12, 3)), images(3, 2, 5, 5)


def frames_first():
    def run(self, x):
        found = torch.relu(self.conv(x.transpose(0, 1).flatten(0, 1))).mean((2, 3))
        return self.out(found.unflatten(0, (3, -1)).mean(0))

    return Of(run, conv=nn.Conv2d(2, 4, 3), out=nn.Linear(4, 3)), images(3, 2, 5, 5)


def cells():
    def run(self, x):
        hidden = x.new_zeros(len(x), 6)
        for step in x.unbind(1):
            hidden = self.cell(step, hidden)
        return self.out(hidden)

    return Of(run, cell=nn.RNNCell(4, 6), out=nn.Linear(6, 3)), images(5, 4)


def recurrent():
    def run(self, x):
        return self.out(self.lstm(self.first(x))[0][:, -1])

    return Of(
        run, first=nn.Linear(4, 4), lstm=nn.LSTM(4, 6, batch_first=True), out=nn.Linear(6, 3)
    ), images(5, 4)


def normed_weight():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(5, 6))
    return nn.Sequential(layer, nn.Tanh(), nn.Linear(6, 3)), images(5)


def masked_weight():
    def run(self, x):
        return self.out(torch.relu(F.linear(x, self.weight * self.mask)))

    mask = (torch.rand(6, 5) > 0.5).double()
    return Of(run, weight=parameter(6, 5), mask=nn.Buffer(mask), out=nn.Linear(6, 3)), images(5)


def bilinear():
    return Of(lambda self, x: self.pair(x[:, :4], x[:, 4:]), pair=nn.Bilinear(4, 3, 3)), images(7)


def branching():
    """Which layer runs depends on the example's values."""

    def run(self, x):
        chosen = (x.sum(1) > 0).nonzero()[:, 0]
        other = (x.sum(1) <= 0).nonzero()[:, 0]
        out = x.new_zeros(len(x), 3)
        return out.index_put((chosen,), self.first(x[chosen])).index_put(
            (other,), self.second(x[other])
        )

    return Of(run, first=nn.Linear(5, 3), second=nn.Linear(5, 3)), images(5)


def last_only():
    """Most rows of the first layer have no gradient."""

    def run(self, x):
        return self.out(torch.relu(self.inner(x))[:, -1])

    return Of(run, inner=nn.Linear(4, 5), out=nn.Linear(5, 3)), images(5, 4)


def dead():
    """No gradient reaches the first layer, so nothing tells how it lies."""
    model, inputs = mlp()
    with torch.no_grad():
        model[0].bias.fill_(-100)
    return model, inputs


def frozen():
    model, inputs = mlp()
    model[2].weight.requires_grad_(False)
    return model, inputs


def unread():
    model, inputs = mlp()
    model.spare = nn.Linear(2, 2)
    return Of(lambda self, x: self.used[:5](x), used=model), inputs


def checkpointed():
    from torch.utils.checkpoint import checkpoint

    inner = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6))
    return Of(
        lambda self, x: self.out(checkpoint(self.inner, x, use_reentrant=False)),
        inner=inner,
        out=nn.Linear(6, 3),
    ), images(5)


NETS = {
    "mlp": mlp,
    "cnn": cnn,
    "wide_cnn": wide_cnn,
    "conv1d": conv1d,
    "conv3d": conv3d,
    "transposed": transposed,
    "norms": norms,
    "instance_norm": instance_norm,
    "block": lambda: block(True),
    "block_sequence_first": lambda: block(False),
    "cross_attention": cross_attention,
    "language": lambda: language(False),
    "language_tied": lambda: language(True),
    "twice": twice,
    "twice_convolved": twice_convolved,
    "twice_in_two_ways": twice_in_two_ways,
    "bare": bare,
    "reversed_product": reversed_product,
    "frames": frames,
    "frames_first": frames_first,
    "cells": cells,
    "recurrent": recurrent,
    "normed_weight": normed_weight,
    "masked_weight": masked_weight,
    "bilinear": bilinear,
    "branching": branching,
    "last_only": last_only,
    "dead": dead,
    "frozen": frozen,
    "unread": unread,
    "checkpointed": checkpointed,
}
ALONE = {
    "instance_norm": {"1.weight", "1.bias"},
    "cross_attention": {"attention.bias_k", "attention.bias_v"},
    "normed_weight": {"0.parametrizations.weight.original0", "0.parametrizations.weight.original1"},
    "masked_weight": {"weight"},
    "bilinear": {"pair.weight"},
    "branching": {"first.weight", "first.bias", "second.weight", "second.bias"},
}
"""Whose gradients are found by running the examples alone."""


def made(name):
    """Build a network in float64 with seven examples and their targets."""
    torch.manual_seed(0)
    model, inputs = NETS[name]()
    model = model.double()
    model(inputs)  # lazy layers take their sizes
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    shape = (BATCH, 5) if name.startswith("language") else (BATCH,)
    return model, inputs, torch.randint(0, CLASSES, shape)
