"""Squared norms of per-example gradients, against `torch.func.vmap(grad)` and BackPACK's `BatchL2Grad`.

Rounds are interleaved in one process on one thread; each round gives a ratio of times (peer over ours, so above one is
faster), and the table says their median with the least and greatest value. Ours runs a model that nothing was done to;
its time holds learning the layout, once per engine ("first") or not at all ("then"). An ordinary pass is one forward
and backward pass of the whole batch, without norms. What `vmap` forms is large, and a process gives large blocks back
to the system and pays for fresh ones each time; the command line keeps them. Both are measured.

    python bench/ghost.py       # BackPACK is left out where it is not installed, or refuses the network
"""

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from surplus.nets import Conv2, LeNet300100, ResNetCIFAR
from surplus.passes.ghost import Ghost
from timing import seconds, settle, spread

ROUNDS = 7
Case = tuple[nn.Module, Tensor]


def mlp() -> Case:
    layers = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(*layers), torch.randn(256, 784)


class Transformer(nn.Module):
    """Two blocks over embedded tokens."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.table = nn.Embedding(1000, width)
        block = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        """Run it."""
        return self.head(self.blocks(self.table(tokens)).mean(1))


CASES: dict[str, Callable[[], Case]] = {
    "MLP 784-512-256-10, batch 256": mlp,
    "LeNet-300-100, batch 512": lambda: (
        LeNet300100().build((1, 28, 28), 10, 0),
        torch.randn(512, 1, 28, 28),
    ),
    "Conv-2, batch 32": lambda: (
        Conv2().build((3, 32, 32), 10, 0),
        torch.randn(32, 3, 32, 32),
    ),
    "ResNet-20, batch 64": lambda: (
        ResNetCIFAR(depth=20).build((3, 32, 32), 10, 0),
        torch.randn(64, 3, 32, 32),
    ),
    "transformer, width 128, 64 tokens, batch 32": lambda: (
        Transformer(),
        torch.randint(0, 1000, (32, 64)),
    ),
}


def by_vmap(model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Form every gradient, and take the norms."""
    weights = {name: each.detach() for name, each in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def loss(weights: dict[str, Tensor], one: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            functional_call(model, (weights, buffers), (one[None],)), target[None]
        )

    gradients = vmap(grad(loss), (None, 0, 0))(weights, inputs, targets)
    return {name: each.flatten(1).square().sum(1) for name, each in gradients.items()}


def by_backpack(make: Callable[[], Case]) -> Callable[[], dict[str, Tensor]] | None:
    """Return BackPACK's way, if it is installed and takes the network."""
    try:
        from backpack import backpack, extend
        from backpack.extensions import BatchL2Grad
    except ImportError:
        return None
    torch.manual_seed(0)
    model, inputs = make()
    targets = torch.randint(0, 10, (len(inputs),))
    loss = extend(nn.CrossEntropyLoss(reduction="sum"))

    def run() -> dict[str, Tensor]:
        with backpack(BatchL2Grad()):
            loss(extended(inputs), targets).backward()
        return {name: each.batch_l2 for name, each in extended.named_parameters()}

    try:
        extended = extend(model.eval(), use_converter=not isinstance(model, nn.Sequential))
        run()
    except Exception:  # whatever it refuses with
        return None
    return run


def ghost_rows() -> list[tuple[str, ...]]:
    """Return the table: network, our time in ordinary passes, and how many times longer the peers take."""
    head = ("network", "memory", "ordinary passes", "vmap(grad), first", "then", "BackPACK")
    rows: list[tuple[str, ...]] = [head]
    torch.set_num_threads(1)
    for memory in ("as torch takes it", "kept when freed"):
        for name, make in CASES.items():
            rows.append((name, memory, *map(_cell, _ratios(name, make))))
        settle()
    return rows


def _ratios(name: str, make: Callable[[], Case]) -> tuple[list[float], ...]:
    """Return the ratios of all rounds: ours to an ordinary pass, and the peers' to ours."""
    torch.manual_seed(0)
    model, inputs = make()
    targets = torch.randint(0, 10, (len(inputs),))
    model.eval()
    ghost, peer = Ghost(model), by_backpack(make)
    _agree(ghost(inputs, targets).squared_norms(), by_vmap(model, inputs, targets), name)
    if peer is not None:
        _agree(ghost(inputs, targets).squared_norms(), peer(), name)
    ordinary, first, then, backpack = [], [], [], []
    for _ in range(ROUNDS):
        ours = seconds(lambda: ghost(inputs, targets).squared_norms())
        fresh = seconds(lambda: Ghost(model)(inputs, targets).squared_norms())
        theirs = seconds(lambda: by_vmap(model, inputs, targets))
        plain = seconds(lambda: _ordinary(model, inputs, targets))
        ordinary.append(ours / plain)
        first.append(theirs / fresh)
        then.append(theirs / ours)
        if peer is not None:
            backpack.append(seconds(peer) / ours)
    return ordinary, first, then, backpack


def _cell(ratios: list[float]) -> str:
    return spread(ratios) if ratios else "-"


def _ordinary(model: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    loss = F.cross_entropy(model(inputs), targets, reduction="sum")
    torch.autograd.grad(loss, list(model.parameters()))


def _agree(ours: dict[str, Tensor], theirs: dict[str, Tensor], name: str) -> None:
    for each, values in theirs.items():
        torch.testing.assert_close(
            ours[each], values.double(), rtol=1e-3, atol=1e-7, msg=lambda text: f"{name}: {text}"
        )


def main() -> None:
    warnings.simplefilter("ignore")  # of the peers, about what they do not treat
    head, *rows = ghost_rows()
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
