"""Exact ablation against the naive protocol: mask a unit, run the network again on 10,000 images, for every removal.

The naive side is lean: all images in memory as one tensor, large batches, no gradients. Both sides run in one process
on one thread, in turn. Ours is timed with everything it needs, the pass through the first layers included.

    python bench/ablation.py            # about ten minutes; SURPLUS_DATA names the folder of MNIST and CIFAR-10
    python bench/ablation.py --quick    # LeNet-300-100 only
"""

import statistics
import sys
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surplus.passes import Downstream, Removals, num_macs
from surplus.training import recipe
from surplus.units import Units, find_units
from timing import learnt, loaded, seconds, settle, spread, ten_thousand

Batches = list[tuple[Tensor, Tensor]]
HEADS = (
    "layer",
    "naive, one order [s]",
    "ours, one order [s]",
    "ratio",
    "ours, each of 9 orders [s]",
    "ratio",
    "ours, all single removals [s]",
    "multiply-adds, network / update",
    "share of updates due",
    "bound, 1 order",
    "bound, 9 orders",
)
ORDERS = 9  # magnitude and frame potential in both directions, and five random orders


def naive_removal(
    model: nn.Module, units: Units, layer: str, unit: int, data: list
) -> tuple[float, int]:
    """Zero one unit's slots in place, and run the whole network on the data."""
    group = units[layer]
    state = dict(model.named_parameters())
    loss, correct = 0.0, 0
    with torch.no_grad():
        for slot in group.slots:
            state[slot.tensor].index_fill_(slot.axis, slot.index[unit], 0.0)
        for images, targets in data:
            outputs = model(images)
            loss += float(F.cross_entropy(outputs, targets, reduction="sum"))
            correct += int((outputs.argmax(1) == targets).sum())
    return loss, correct


def work(model: nn.Module, units: Units, layer: str, images: Tensor) -> tuple[float, float, float]:
    """Return multiply-adds per image: one naive run, one of our updates with its tail, and the share of updates due."""
    whole = num_macs(model, images[:1])
    down = Downstream.of(model, units, layer)
    assert down is not None
    inputs = next(iter(down.inputs([(images[:2000], torch.zeros(2000, dtype=torch.int64))])))[0]
    states = down.reader(inputs[:1])
    tail = num_macs(nn.Sequential(*down.tail), states) if down.tail else 0
    update = num_macs(nn.Sequential(down.reader), inputs[:1]) / down.num_units
    firing = float((down.by_unit(inputs) != 0).any(2).double().mean())
    sparse = down.width == 1 and isinstance(down.reader, nn.Linear)
    return whole, update + tail, firing if sparse else 1.0


def measure(
    name: str, layer: str, model: nn.Module, data: Batches, rounds: int, removals: int
) -> None:
    """Print one row: seconds of both sides, their ratios, and the bound by multiply-adds."""
    model.eval()
    images = torch.cat([images for images, _ in data])
    units = find_units(model, images[:2])
    size = units[layer].size
    generator = torch.Generator().manual_seed(0)
    orders = torch.stack([torch.randperm(size, generator=generator) for _ in range(ORDERS)])
    saved = {key: value.clone() for key, value in model.state_dict().items()}
    times: dict[str, list[float]] = {key: [] for key in ("naive", "one", "each", "singles")}
    for _ in range(rounds):
        each = [
            seconds(partial(naive_removal, model, units, layer, unit, data))
            for unit in orders[0, :removals].tolist()
        ]
        times["naive"].append(statistics.median(each) * size)
        model.load_state_dict(saved)
        times["one"].append(seconds(lambda: Removals(model, units, layer, data).along(orders[:1])))
        every = seconds(lambda: Removals(model, units, layer, data).along(orders))
        times["each"].append(every / ORDERS)
        times["singles"].append(seconds(lambda: Removals(model, units, layer, data).singles()))
    ratios = {
        key: spread([a / b for a, b in zip(times["naive"], times[key], strict=True)])
        for key in ("one", "each")
    }
    whole, update, firing = work(model, units, layer, images)
    bounds = [
        orders * size * whole / (whole + orders * size * update * firing) for orders in (1, ORDERS)
    ]
    cells = [
        f"{name} {layer}, {size} units",
        spread(times["naive"]),
        spread(times["one"]),
        f"**{ratios['one']}**",
        spread(times["each"]),
        f"**{ratios['each']}**",
        spread(times["singles"]),
        f"{whole / update:,.0f}",
        f"{firing:.2f}",
        f"{bounds[0]:,.0f}",
        f"{bounds[1]:,.0f}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def equal(model: nn.Module, images: Tensor, targets: Tensor, layer: str) -> str:
    """Compare every count of a whole order with the naive protocol, and say the largest difference."""
    units = find_units(model, images[:2])
    order = torch.randperm(units[layer].size, generator=torch.Generator().manual_seed(1))
    curves = Removals(model, units, layer, [(images, targets)]).along(order[None])
    saved = {key: value.clone() for key, value in model.state_dict().items()}
    apart = [
        abs(
            naive_removal(model, units, layer, unit, [(images, targets)])[1]
            - int(curves.correct[0, place])
        )
        for place, unit in enumerate(order.tolist(), start=1)
    ]
    model.load_state_dict(saved)
    return f"{len(apart)} removals x {len(images)} images: largest difference {max(apart)} images"


def main() -> None:
    settle()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread\n")
    lenet = recipe("lenet-mnist")
    parts, source = loaded(lenet.task)
    images, targets = ten_thousand(parts)
    model = learnt(lenet, parts, 2000)
    print(f"LeNet-300-100 on {source}, float32: {equal(model, images, targets, 'fc1')}")
    doubled = model.double()
    print(
        f"LeNet-300-100 on {source}, float64: {equal(doubled, images.double(), targets, 'fc1')}\n"
    )
    model = model.float()
    print("| " + " | ".join(HEADS) + " |")
    print("|---" * len(HEADS) + "|")
    for precision in ("highest", "medium"):
        torch.set_float32_matmul_precision(precision)
        title = "LeNet-300-100" + (" through oneDNN," if precision == "medium" else "")
        for layer in ("fc1", "fc2"):
            measure(title, layer, model, [(images, targets)], rounds=7, removals=7)
    torch.set_float32_matmul_precision("highest")
    if "--quick" in sys.argv:
        return
    conv = recipe("conv2-cifar10")
    parts, _ = loaded(conv.task)
    images, targets = ten_thousand(parts)
    model = learnt(conv, parts, 200)
    data = list(zip(torch.split(images, 1000), torch.split(targets, 1000), strict=True))
    for layer in ("conv2", "fc1"):
        measure("Conv-2", layer, model, data, rounds=3, removals=1)


if __name__ == "__main__":
    main()
