"""All-layer CKA of a network of 24 layers of width 256, against the pairwise scheme as torch_cka 0.21 runs it.

torch_cka runs itself, without gradients, on the same examples, in float32. It multiplies whole Gram matrices for each
pair of layers, and the one of the second layer with itself again each time. What it gives is the mean of unbiased
estimates over batches; on one batch it is compared with ours, which is exact on all examples whatever the batches, and
sums up in float64. Ours is timed with the tracing of the network. Where torch_cka would run for many minutes, one of
its 24 outer rounds is timed, and 24 of them are said to be so.

    python bench/representations.py            # about five minutes
    python bench/representations.py --quick    # without the batch of 2,048
"""

import sys
import warnings

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch_cka import cka as torch_cka

from surplus.measures import CKA, findings, observed
from surplus.units import find_units
from timing import seconds, settle, spread

DEPTH, WIDTH, INPUTS = 24, 256, 64
LAYERS = [str(2 * layer) for layer in range(DEPTH)]
ACTIVATIONS = [str(2 * layer + 1) for layer in range(DEPTH)]
HEADS = ("examples", "batches of torch_cka", "ours [s]", "torch_cka [s]", "ratio")


def network() -> nn.Sequential:
    """Return dense layers with rectifiers, and ten outputs."""
    torch.manual_seed(0)
    modules: list[nn.Module] = []
    for layer in range(DEPTH):
        modules += [nn.Linear(WIDTH if layer else INPUTS, WIDTH), nn.ReLU()]
        nn.init.kaiming_normal_(modules[-2].weight)  # torch_cka ends in NaN where signals die out
    return nn.Sequential(*modules, nn.Linear(WIDTH, 10))


def ours(model: nn.Module, inputs: Tensor) -> dict[tuple[str | None, str | None], float]:
    """Return the CKA of each pair of layers."""
    units = find_units(model, inputs[:2])
    seen = observed(model, units, (CKA(),), [(inputs, inputs)], layers=LAYERS)
    return {(each.layer, each.other): each.value for _, each in findings(seen, (CKA(),))}


def theirs(model: nn.Module, inputs: Tensor, batch: int, layers: list[str]) -> Tensor:
    """Return what torch_cka gives for some layers with all layers."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        pairwise = torch_cka.CKA(model, model, "one", "two", layers, ACTIVATIONS)
        pairwise.compare(DataLoader(TensorDataset(inputs, inputs), batch_size=batch))
    for module in model.modules():
        module._forward_hooks.clear()  # it leaves them behind
    return pairwise.export()["CKA"]


def compared(num_examples: int, batch: int, rounds: int, outer: int = DEPTH) -> None:
    """Print one row: seconds of both sides in turn, and their ratios."""
    model = network().eval()
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(num_examples, INPUTS, generator=generator)
    layers = ACTIVATIONS[:outer]
    mine, pairwise, ratios = [], [], []
    for _ in range(rounds):
        mine.append(seconds(lambda: ours(model, inputs)))
        whole = seconds(lambda: theirs(model, inputs, batch, layers)) * DEPTH / outer
        pairwise.append(whole)
        ratios.append(whole / mine[-1])
    note = "" if outer == DEPTH else f" ({DEPTH} x one of its outer rounds)"
    cells = [
        f"{num_examples:,}",
        f"{batch:,}",
        spread(mine),
        spread(pairwise) + note,
        f"**{spread(ratios)}**",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def agreement(num_examples: int) -> str:
    """Say how far both are apart on one batch: theirs is unbiased, ours is not, so they differ by chance alignment."""
    model = network().eval()
    inputs = torch.randn(num_examples, INPUTS, generator=torch.Generator().manual_seed(1))
    numbers = ours(model, inputs)
    unbiased = theirs(model, inputs, num_examples, ACTIVATIONS)
    apart = [
        abs(numbers[one, two] - float(unbiased[i, j]))
        for i, one in enumerate(LAYERS)
        for j, two in enumerate(LAYERS)
        if j > i
    ]
    return f"on {num_examples:,} examples in one batch, largest difference {max(apart):.2g}"


def main() -> None:
    settle()
    torch_cka.tqdm = lambda batches, **_: batches
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread\n")
    print(f"Ours and torch_cka, {agreement(256)}.\n")
    print("| " + " | ".join(HEADS) + " |")
    print("|---" * len(HEADS) + "|")
    compared(256, 256, rounds=5)
    compared(2048, 256, rounds=3)
    if "--quick" not in sys.argv:
        compared(2048, 2048, rounds=3, outer=1)


if __name__ == "__main__":
    main()
