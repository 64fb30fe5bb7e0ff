"""All pairs of units removed exactly, against the naive protocol: mask two units, run the network again.

The naive side is that of `ablation.py`, lean as there; a few pairs are timed and their median is multiplied by the
number of pairs. Ours is timed with everything it needs, single removals and the pass through the first layers included.
Both run in one process on one thread, in turn; times are those of the processor.

    python bench/pairs.py            # a few minutes; SURPLUS_DATA names the folder of MNIST and CIFAR-10
    python bench/pairs.py --quick    # LeNet-300-100 only
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ablation import Batches, naive_removal, work
from surplus.passes import Downstream, Removals
from surplus.passes.removals import Pairs
from surplus.training import recipe
from surplus.units import Units, find_units
from timing import learnt, loaded, settle, spread, ten_thousand

HEADS = (
    "layer",
    "pairs",
    "naive [s]",
    "ours [s]",
    "ratio",
    "multiply-adds, network / state",
    "share of states due",
    "bound",
)


def seconds(work: Callable[[], object]) -> float:
    """Return the processor's time of one call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def drawn(size: int, count: int) -> list[tuple[int, int]]:
    """Return some pairs of different units."""
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(size, generator=generator)[:2].tolist() for _ in range(count)]
    return [(first, second) for first, second in orders]


def naive_pair(
    model: nn.Module, units: Units, layer: str, pair: tuple[int, int], data: Batches
) -> tuple[float, int]:
    """Zero both units' slots in place, and run the whole network on the data."""
    state = dict(model.named_parameters())
    with torch.no_grad():
        for slot in units[layer].slots:
            state[slot.tensor].index_fill_(slot.axis, slot.index[pair[0]], 0.0)
    return naive_removal(model, units, layer, pair[1], data)


def apart(model: nn.Module, units: Units, layer: str, found: Pairs, data: Batches) -> str:
    """Compare some pairs with the naive protocol, and say the largest differences."""
    saved = {key: value.clone() for key, value in model.state_dict().items()}
    losses, counts = [], []
    for pair in drawn(units[layer].size, 50):
        loss, correct = naive_pair(model, units, layer, pair, data)
        model.load_state_dict(saved)
        losses.append(abs(loss / found.num_examples - float(found.loss[pair])))
        counts.append(abs(correct - int(found.correct[pair])))
    return f"{max(counts)} images, {max(losses):.1e} nats"


def share_due(model: nn.Module, units: Units, layer: str, images: Tensor) -> float:
    """Return the share of pairs of which both units fire, over images; 1 where silence is not used."""
    down = Downstream.of(model, units, layer)
    assert down is not None
    if down.width > 1 or not isinstance(down.reader, nn.Linear):
        return 1.0
    data = [(images, torch.zeros(len(images), dtype=torch.int64))]
    num = torch.cat([(inputs != 0).sum(1) for inputs, _ in down.inputs(data)]).double()
    return float((num * (num - 1)).mean()) / (down.num_units * (down.num_units - 1))


def measure(
    name: str, layer: str, model: nn.Module, data: Batches, rounds: int, removals: int
) -> None:
    """Print one row: seconds of both sides, their ratio, and the bound by multiply-adds."""
    model.eval()
    images = torch.cat([images for images, _ in data])
    units = find_units(model, images[:2])
    size = units[layer].size
    num_pairs = size * (size - 1) // 2
    saved = {key: value.clone() for key, value in model.state_dict().items()}
    times: dict[str, list[float]] = {"naive": [], "ours": []}
    for _ in range(rounds):
        each = []
        for pair in drawn(size, removals):
            each.append(seconds(lambda pair=pair: naive_pair(model, units, layer, pair, data)))
            model.load_state_dict(saved)
        times["naive"].append(statistics.median(each) * num_pairs)
        times["ours"].append(seconds(lambda: Removals(model, units, layer, data).pairs()))
    ratios = [a / b for a, b in zip(times["naive"], times["ours"], strict=True)]
    whole, update, _ = work(model, units, layer, images)
    down = Downstream.of(model, units, layer)
    assert down is not None
    # The term of a unit is multiplied once; a state of a pair is a subtraction and what follows the next layer.
    tail = update - down.reader.weight.numel() / size if down.tail else update
    due = share_due(model, units, layer, images)
    bound = num_pairs * whole / (whole + size * update + num_pairs * due * tail)
    cells = [
        f"{name} {layer}, {size} units",
        f"{num_pairs:,}",
        spread(times["naive"]),
        spread(times["ours"]),
        f"**{spread(ratios)}**",
        f"{whole / tail:,.0f}",
        f"{due:.3f}",
        f"{bound:,.0f}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    settle()
    lenet = recipe("lenet-mnist")
    parts, source = loaded(lenet.task)
    images, targets = ten_thousand(parts)
    model = learnt(lenet, parts, 2000).eval()
    units = find_units(model, images[:2])
    for title, kind in (("float32", torch.float32), ("float64", torch.float64)):
        model, data = model.to(kind), [(images[:2000].to(kind), targets[:2000])]
        found = Removals(model, units, "fc1", data).pairs()
        print(
            f"LeNet-300-100 on {source}, {title}, 50 pairs: {apart(model, units, 'fc1', found, data)}"
        )
    print("\n| " + " | ".join(HEADS) + " |")
    print("|---" * len(HEADS) + "|")
    model = model.float()
    for layer in ("fc1", "fc2"):
        measure("LeNet-300-100", layer, model, [(images, targets)], rounds=5, removals=5)
    if "--quick" in sys.argv:
        return
    conv = recipe("conv2-cifar10")
    parts, _ = loaded(conv.task)
    images, targets = ten_thousand(parts)
    model = learnt(conv, parts, 20)  # no state is skipped there, so what it learnt is no matter
    data = [(images[:2000], targets[:2000])]
    measure("Conv-2, 2,000 images,", "conv2", model, data, rounds=3, removals=1)


if __name__ == "__main__":
    main()
