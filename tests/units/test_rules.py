"""Operators by what they do to units: each network is cut exactly, or protected with the reason that is expected."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import rnn

from surplus.edits import cut
from surplus.masks import Scores, keep
from surplus.units import find_units

ROWS, STEPS, MAPS = (4, 4), (3, 5, 4), (2, 3, 8, 8)
NUMBERS = torch.tensor([[0, 2, 2, 1, 4], [3, 3, 0, 1, 2], [4, 0, 1, 1, 1]])
SEEN = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])


class Net(nn.Module):
    """Some layers, and what is done with them; `d` reads the result."""

    def __init__(self, forward: Callable[[Any, Tensor], Tensor], layers: dict[str, Any]) -> None:
        super().__init__()
        self.run = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.d(self.run(self, x))


class Case(NamedTuple):
    """A network, the shape of its input, its layers, and for each group that is not removable why (None: removable)."""

    forward: Callable[[Any, Tensor], Tensor]
    shape: tuple[int, ...]
    layers: Callable[[], dict[str, Any]]
    groups: dict[str, str | None]


def linear(a=6, d=6, **more):
    return lambda: (
        {"a": nn.Linear(4, a), "d": nn.Linear(d, 2)} | {name: make() for name, make in more.items()}
    )


def maps(a=6, d=6, **more):
    return lambda: (
        {"a": nn.Conv2d(3, a, 1), "d": nn.Conv2d(d, 2, 1)}
        | {name: make() for name, make in more.items()}
    )


def parameter(*shape):
    return lambda: nn.Parameter(torch.randn(*shape))


def buffer(*values):
    return lambda: nn.Buffer(torch.tensor(values))


def again(size=4, out=6):
    return lambda: nn.Linear(size, out)


def unpooled(net, x):
    y, places = F.max_pool2d(torch.relu(net.a(x)), 2, return_indices=True)
    return F.max_unpool2d(torch.relu(net.b(y)), places, 2)


def spectral(net, x):
    spectrum = torch.fft.rfft2(net.a(x))[:, :, :4, :3]
    mixed = torch.einsum("bixy,ioxy->boxy", spectrum, torch.view_as_complex(net.w))
    return torch.fft.irfft2(F.pad(mixed, (0, 2, 0, 4)))


def rotated(net, x):
    pairs = torch.view_as_complex(net.a(x).unflatten(-1, (net.heads, 2)).contiguous())
    angles = torch.arange(5.0, dtype=x.dtype)[:, None]
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(2)


def tokens_put(net, x):
    h = net.a(x).clone()
    h[x[:, :, 0] > 0] = net.t.to(h.dtype)
    return h


def number_put(net, x):
    h = torch.sigmoid(net.a(x))
    h[x[:, :, 0] > 0] = 0.5
    return h


def columns_put(net, x):
    h = net.a(x).clone()
    h[:, :, torch.tensor([0, 2])] = 0.0
    return h


def rows_filled(net, x):
    h, mask = net.a(x), x[:, :, :1] > 0
    return h.masked_scatter(mask.expand_as(h), net.b(x.flatten(0, 1)[: int(mask.sum())]))


def pooled(net, x):
    h = net.a(x)
    seen = SEEN.unsqueeze(-1).expand(h.size()).to(h.dtype)
    return (h * seen).sum(1) / seen.sum(1)


def packed(net, x):
    steps = rnn.pack_padded_sequence(net.a(x), torch.tensor([5, 3, 2]), batch_first=True)
    return rnn.pad_packed_sequence(net.b(steps)[0], batch_first=True)[0]


def experts(net, x):
    return F.grouped_mm(net.a(x), net.w, offs=torch.tensor([1, 4], dtype=torch.int32))


def sparse(net, x):
    return torch.relu(torch.sparse.mm(torch.eye(4, dtype=x.dtype).to_sparse(), net.a(x)))


CASES = {
    "bilinear": Case(
        lambda net, x: net.b(torch.relu(net.a(x)), torch.tanh(net.c(x))),
        ROWS,
        linear(d=4, b=lambda: nn.Bilinear(6, 5, 4), c=again(4, 5)),
        {"a": None, "c": None, "b": None},
    ),
    "bilinear with the input": Case(
        lambda net, x: net.b(torch.sigmoid(net.a(x)), x),
        STEPS,
        linear(d=4, b=lambda: nn.Bilinear(6, 4, 4)),
        {"a": None, "b": None},
    ),
    "distances": Case(
        lambda net, x: torch.exp(-torch.cdist(torch.relu(net.a(x)), net.c)),
        ROWS,
        linear(d=7, c=parameter(7, 6)),
        {"a": None, "c": None},
    ),
    "distances of what is never zero": Case(
        lambda net, x: torch.exp(-torch.cdist(torch.sigmoid(net.a(x)), net.c, p=1.0)),
        ROWS,
        linear(d=7, c=parameter(7, 6)),
        {"a": "multiplied and summed without a weight (`aten._cdist_forward`", "c": None},
    ),
    "blocks of experts": Case(
        experts, ROWS, linear(a=8, d=4, w=parameter(2, 8, 4)), {"a": None, "w": None}
    ),
    "a sparse matrix": Case(sparse, ROWS, linear(), {"a": None}),
    "patches": Case(
        lambda net, x: F.unfold(torch.relu(net.a(x)), 3).unsqueeze(-1),
        MAPS,
        maps(d=54),
        {"a": None},
    ),
    "patches and back": Case(
        lambda net, x: F.fold(
            net.b(F.unfold(net.a(x), 2, stride=2).mT).mT, (8, 8), kernel_size=2, stride=2
        ),
        MAPS,
        maps(d=5, b=again(24, 20)),
        {"a": None, "b": None},
    ),
    "unpooling": Case(unpooled, MAPS, maps(b=lambda: nn.Conv2d(6, 6, 1)), {"a": None}),
    "a transform of maps": Case(
        lambda net, x: torch.fft.irfft2(torch.fft.rfft2(torch.relu(net.a(x))) * 2),
        MAPS,
        maps(),
        {"a": None},
    ),
    "a spectral convolution": Case(
        spectral, MAPS, maps(d=5, w=parameter(6, 5, 4, 3, 2)), {"a": None, "w": None}
    ),
    "complex pairs": Case(rotated, STEPS, linear(heads=lambda: 3), {"a": None}),
    "gather": Case(
        lambda net, x: net.a(x).gather(1, NUMBERS[:, :2, None].expand(-1, -1, net.a(x).shape[2])),
        STEPS,
        linear(),
        {"a": None},
    ),
    "gather with a literal width": Case(
        lambda net, x: net.a(x).gather(1, NUMBERS[:, :, None].expand(-1, -1, 6)),
        STEPS,
        linear(),
        {"a": "combined with a tensor of fixed size (`aten.gather`"},
    ),
    "scatter": Case(
        lambda net, x: torch.zeros_like(net.a(x)).scatter_add(
            1, NUMBERS[:, :, None].expand_as(net.a(x)), net.a(x)
        ),
        STEPS,
        linear(),
        {"a": None},
    ),
    "scatter a number": Case(
        lambda net, x: torch.relu(net.a(x)).scatter(1, NUMBERS[:, :1], 1.0),
        ROWS,
        linear(),
        {"a": "the data choose among them (`aten.scatter`"},
    ),
    "index_add": Case(
        lambda net, x: torch.zeros(5, net.a(x).shape[1], dtype=x.dtype).index_add(
            0, torch.tensor([1, 0, 3, 3]), torch.relu(net.a(x))
        ),
        ROWS,
        linear(),
        {"a": None},
    ),
    "a mask token": Case(tokens_put, STEPS, linear(t=parameter(6)), {"a": None}),
    "a number at a mask": Case(number_put, STEPS, linear(), {"a": None}),
    "a number in columns": Case(
        columns_put, STEPS, linear(), {"a": "which would not follow (`aten.index_put_`"}
    ),
    "rows of a mask": Case(lambda net, x: net.a(x)[x[:, :, 0] > 0], STEPS, linear(), {"a": None}),
    "rows filled": Case(rows_filled, STEPS, linear(b=again()), {"a": None}),
    "elements filled": Case(
        lambda net, x: net.a(x).masked_scatter(net.a(x) > 0, net.b(x)),
        STEPS,
        linear(b=again()),
        {
            "a": "the data choose among them (`aten.masked_scatter`",
            "b": "the data choose among them (`aten.masked_scatter`",
        },
    ),
    "a gather that repeats": Case(
        lambda net, x: net.a(x).gather(1, NUMBERS[:, :2, None].repeat(1, 1, net.a(x).shape[2])),
        STEPS,
        linear(),
        {"a": None},
    ),
    "systems of equations": Case(
        lambda net, x: torch.linalg.solve_triangular(
            torch.eye(5, dtype=x.dtype) + (x @ x.mT).tril(-1), net.a(x), upper=False
        ),
        STEPS,
        linear(),
        {"a": None},
    ),
    "a system of units": Case(
        lambda net, x: torch.linalg.solve(torch.eye(6, dtype=x.dtype) + net.c, net.a(x).mT).mT,
        ROWS,
        linear(c=parameter(6, 6)),
        {
            "a": "they are the rows of a system of equations (`aten._linalg_solve_ex`",
        },
    ),
    "a mean over what is seen": Case(pooled, STEPS, linear(), {"a": None}),
    "a mask as wide": Case(
        lambda net, x: net.a(x).masked_fill(SEEN[:, :, None].expand_as(net.a(x)) == 0, 0.0),
        STEPS,
        linear(),
        {"a": None},
    ),
    "a count of repeats": Case(
        lambda net, x: net.a(x) / x[:, :1].expand(-1, net.a(x).shape[1]).sum(1, keepdim=True),
        ROWS,
        linear(),
        {"a": "they are added up without weights (`aten.sum`"},
    ),
    "a count of ones": Case(
        lambda net, x: net.a(x) / x.new_ones(net.a(x).shape[1]).sum(),
        ROWS,
        linear(),
        {"a": "they are added up without weights (`aten.sum`"},
    ),
    "the best of steps": Case(lambda net, x: net.a(x).topk(2, 1)[0], STEPS, linear(), {"a": None}),
    "the best of units": Case(
        lambda net, x: net.a(x).topk(3, 2)[0],
        STEPS,
        linear(d=3),
        {"a": "they compete or are counted (`aten.topk`"},
    ),
    "sorted steps": Case(
        lambda net, x: net.a(x).sort(dim=1, stable=True)[0], STEPS, linear(), {"a": None}
    ),
    "the second of steps": Case(
        lambda net, x: net.a(x).kthvalue(2, 1)[0], STEPS, linear(), {"a": None}
    ),
    "pairs of neighbours": Case(
        lambda net, x: net.a(x)[..., ::2] * torch.sigmoid(net.a(x)[..., 1::2]),
        STEPS,
        linear(a=12),
        {"a": None},
    ),
    "the last of three": Case(
        lambda net, x: net.a(x)[..., 2::3], STEPS, linear(a=12, d=4), {"a": None}
    ),
    "a permutation": Case(
        lambda net, x: torch.relu(net.a(x))[:, net.p] * net.b(x),
        ROWS,
        linear(b=again(), p=buffer(3, 2, 0, 1, 5, 4)),
        {"a": None},
    ),
    "a permutation and back": Case(
        lambda net, x: torch.tanh(net.b(net.a(x).index_select(1, net.p)))[:, net.q],
        ROWS,
        linear(b=again(6), p=buffer(3, 2, 0, 1, 5, 4), q=buffer(2, 3, 1, 0, 5, 4)),
        {"a": None, "b": None},
    ),
    "a permutation of maps": Case(
        lambda net, x: net.a(x)[:, net.p], MAPS, maps(p=buffer(3, 2, 0, 1, 5, 4)), {"a": None}
    ),
    "a selection": Case(
        lambda net, x: torch.cat([net.a(x)[:, net.p], net.a(x)], 1),
        ROWS,
        linear(d=9, p=buffer(5, 2, 3)),
        {"a[0:5]": None, "a[2:6]": None},
    ),
    "a permutation that is computed": Case(
        lambda net, x: net.a(x)[:, net.p.argsort()],
        ROWS,
        linear(p=buffer(3, 2, 0, 1, 5, 4)),
        {"a": "they are picked by numbers, which would not follow (`aten.index`"},
    ),
    "another than the one kept": Case(
        lambda net, x: net.a(x)[:, (net.p + 1) % 6],
        ROWS,
        linear(p=buffer(3, 2, 0, 1, 5, 4)),
        {"a": "they are picked by numbers, which would not follow (`aten.index`"},
    ),
    "a permutation in the code": Case(
        lambda net, x: net.a(x)[:, [3, 2, 0, 1, 5, 4]],
        ROWS,
        linear(),
        {"a": "they are picked by numbers, which would not follow (`aten.index`"},
    ),
    "one integer of two layers": Case(
        lambda net, x: torch.cat([e(x).view(-1, net.wide) for e in (net.a, net.b)], 1),
        ROWS,
        linear(d=12, b=again(), wide=lambda: 6),
        {"a": None},  # those of b go along
    ),
    "one integer of a layer and the input": Case(
        lambda net, x: net.a(x).view(-1, net.wide) + x.view(-1, net.wide).sum(),
        ROWS,
        linear(a=4, d=4, wide=lambda: 4),
        {"a": "`wide` of `the model` counts them and others, of which there would be more"},
    ),
    "one integer of all pieces": Case(
        lambda net, x: torch.cat([torch.relu(e) for e in net.a(x).split(net.wide, 1)], 1),
        ROWS,
        linear(wide=lambda: 3),
        {"a": None},
    ),
    "one integer of pieces that differ": Case(
        lambda net, x: torch.cat([torch.relu(e) for e in net.a(x).split(net.wide, 1)], 1),
        ROWS,
        linear(a=8, d=8, wide=lambda: 3),
        {"a[0:6]": "`wide` of `the model` counts them", "a[6:8]": "`wide` of `the model` counts"},
    ),
    "packed sequences": Case(
        packed,
        STEPS,
        linear(d=5, b=lambda: nn.LSTM(6, 5, batch_first=True)),
        {"a": None, "b.weight_ih_l0": None},
    ),
    "values on a grid": Case(
        lambda net, x: torch.fake_quantize_per_tensor_affine(
            torch.relu(net.a(x)), 0.1, 0, -128, 127
        ),
        ROWS,
        linear(),
        {"a": None},
    ),
    "units beside whole heads": Case(
        lambda net, x: torch.cat(
            [net.a(x).unflatten(-1, (net.heads, 2)).sum(-1, keepdim=True), net.b(x)], -1
        ).flatten(1),
        ROWS,
        linear(
            d=15,
            heads=lambda: 3,
            b=lambda: nn.Sequential(nn.Linear(4, 12), nn.Unflatten(1, (3, 4))),
        ),
        {"a": None},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_is_followed(name):
    case = CASES[name]
    blocks = name == "blocks of experts"  # the operator takes neither float64 nor rows of 24 bytes
    dtype, multiple = (torch.float32, 4) if blocks else (torch.float64, 1)
    model = Net(case.forward, case.layers()).to(dtype).eval()
    example = torch.randn(case.shape, dtype=dtype)
    units = find_units(model, example)
    found = {group.name: group.protected for group in units if group.name != "d"}
    assert found.keys() == case.groups.keys()
    for group, reason in case.groups.items():
        assert (found[group] is None) if reason is None else (reason in found[group])
    for group in units.removable():
        for sparsity in (0.3, 0.6):
            values = torch.rand(group.size)
            scores = Scores({group.name: values}, "units", units)
            cut(model, keep(scores, sparsity, multiple=multiple))
