"""Cutting other people's networks: ours beside torch-pruning, on the networks of the tests and on some that grow.

For every network, each side takes half of every group that it finds, one group at a time, and the result is compared
with the same network in which all weights of the removed units are zero. No side gets code for a single network. A
group is *exact* if the two are equal, *wrong* if they are not and nothing was said, and *fails* if it or the cut
network raises. A network is exact if it has groups and all of them are.
"""

import copy
import signal
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import surplus as sp
from subjects import GROWING, TIMED, Block, Made, generated, zoo
from surplus.edits import masked
from surplus.passes.costs import latencies, num_macs
from timing import seconds, settle, spread
from zoo import run

ROUNDS = 7
NUM_GENERATED = 60
PATIENCE_SECONDS = 8
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
KINDS = ("exact", "silently wrong", "error", "nothing found")


class Outcome(NamedTuple):
    """What became of the groups of one network."""

    num_exact: int = 0
    num_wrong: int = 0
    num_failed: int = 0
    error: str = ""

    @property
    def verdict(self) -> str:
        """What became of the network."""
        if self.num_wrong:
            return f"silently wrong ({self.num_wrong} of {sum(self[:3])} groups)"
        if self.num_failed or self.error:
            return f"error ({self.error or f'{self.num_failed} of {sum(self[:3])} groups'})"
        return "exact" if self.num_exact else "nothing found"


def shapes(outputs: Any) -> list[torch.Size]:
    """Return the shapes of all outputs."""
    return [each.shape for each in tree_leaves(outputs) if isinstance(each, Tensor)]


def apart(one: Any, other: Any) -> float:
    """Return the largest difference of outputs, relative to the largest output."""
    pairs = [
        (a.double(), b.double())
        for a, b in zip(tree_leaves(one), tree_leaves(other), strict=True)
        if isinstance(a, Tensor)
    ]
    return max(float((a - b).abs().max() / a.abs().max().clamp_min(1e-12)) for a, b in pairs)


@torch.no_grad()
def ours(make: Callable[[], Made]) -> Outcome:
    """Take half of every removable group."""
    model, example = make()
    units = sp.find_units(model, example)
    counts = [0, 0, 0]
    for group in units.removable():
        try:
            scores = sp.score(model, units, sp.scores.Magnitude(), layers=[group.name])
            mask = sp.keep(scores, 0.5)
            smaller, _ = sp.cut(model, mask, verify=False)
            equal = apart(run(masked(model, mask), example), run(smaller, example)) < 1e-6
            counts[0 if equal else 1] += 1
        except Exception:  # whatever it raises counts as failed
            counts[2] += 1
    return Outcome(*counts)


@torch.no_grad()
def theirs(make: Callable[[], Made]) -> Outcome:
    """Take half of every group that has a dense or convolutional layer at its root."""
    model, example = make()
    counts = [0, 0, 0]
    for root, module in model.named_modules():
        if type(module) not in LAYERS or len(module.weight) < 2:
            continue
        smaller, zeroed = copy.deepcopy(model), copy.deepcopy(model)
        with torch.enable_grad():
            graph = tp.DependencyGraph().build_dependency(smaller, example)
        try:
            equal = taken(graph, smaller, zeroed, root, example)
        except TimeoutError:
            raise
        except Exception:  # whatever it raises counts as failed
            counts[2] += 1
        else:
            if equal is not None:
                counts[0 if equal else 1] += 1
    return Outcome(*counts)


def taken(
    graph: Any, smaller: nn.Module, zeroed: nn.Module, root: str, example: Any
) -> bool | None:
    """Take half of one group; say whether the result is the network with zeros, or None for what is not to be taken."""
    chosen = smaller.get_submodule(root)
    pruning = graph.get_pruner_of_module(chosen).prune_out_channels
    width = graph.get_out_channels(chosen)
    one = graph.get_pruning_group(chosen, pruning, [0])
    blocks = max((blocks_of(item.dep.target.module) for item in one), default=1)
    size = width // blocks
    half = [unit for unit in range(width) if unit % size < size // 2]
    if not half:
        return None
    group = graph.get_pruning_group(chosen, pruning, half)
    if not graph.check_pruning_group(group):
        return None
    coupled = zero_(zeroed, smaller, graph, group)
    group.prune()
    whole, part = run(zeroed, example), run(smaller, example)
    if shapes(whole) != shapes(part):
        return None  # the outputs of the network: the task's, not surplus
    return coupled or apart(whole, part) < 1e-6


def blocks_of(layer: Any) -> int:
    """Return of how many equal blocks a grouped convolution wants its channels, of which as many have to go."""
    groups: int = getattr(layer, "groups", 1)
    return groups if groups < getattr(layer, "in_channels", 1) else 1


def zero_(zeroed: nn.Module, smaller: nn.Module, graph: Any, group: Any) -> bool:
    """In place: zero all weights of a group; say whether a normalisation makes the result another by nature."""
    names = {id(each): path for path, each in smaller.named_modules()}
    coupled = False
    for item in group:
        path = names.get(id(item.dep.target.module))
        if path is None:
            continue
        layer: Any = zeroed.get_submodule(path)
        coupled |= isinstance(layer, nn.LayerNorm | nn.GroupNorm | nn.RMSNorm)
        reads = graph.is_in_channel_pruning_fn(item.dep.handler)
        if isinstance(layer, LAYERS + TRANSPOSED):
            zero_layer_(layer, item.idxs, reads)
        elif getattr(layer, "weight", None) is not None and layer.weight.dim() == 1 < len(
            layer.weight
        ):
            layer.weight[item.idxs] = 0
            if getattr(layer, "bias", None) is not None:
                layer.bias[item.idxs] = 0
    return coupled


def zero_layer_(layer: Any, units: list[int], reads: bool) -> None:
    """In place: zero what a layer does to some units that it reads or computes."""
    transposed, groups = isinstance(layer, TRANSPOSED), getattr(layer, "groups", 1)
    if groups > 1 and groups == layer.in_channels:  # each channel goes on by itself
        reads = False
    if not reads and layer.bias is not None:
        layer.bias[units] = 0
    if reads == transposed:  # they have rows of their own
        layer.weight[units] = 0
        return
    width, height = layer.weight.shape[1], len(layer.weight) // groups
    for unit in units:
        block = unit // width
        layer.weight[block * height : (block + 1) * height, unit % width] = 0


def tried(attempt: Callable[[Callable[[], Made]], Outcome], make: Callable[[], Made]) -> Outcome:
    """Attempt a network; an exception is an outcome, and so is no end in sight."""
    # Again and again, since one that comes while a callback runs is lost.
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return attempt(make)
        except Exception as failed:  # whatever it raises counts as not handled
            return Outcome(error=type(failed).__name__)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def give_up(number: int, frame: object) -> None:
    """Stop what takes too long."""
    raise TimeoutError


def exactness(title: str, cases: dict[str, Callable[[], Made]], listed: bool) -> None:
    """Print how many networks each side cuts exactly, and where they differ."""
    sides = {"ours": ours, "torch-pruning": theirs}
    found = {
        side: {n: tried(work, make) for n, make in cases.items()} for side, work in sides.items()
    }
    groups = ("groups exact", "groups wrong", "groups failed")
    print(f"| {title} | {' | '.join((*KINDS, *groups))} |\n{'|---' * (len(KINDS) + 4)}|")
    for side, outcomes in found.items():
        verdicts = [each.verdict.partition(" (")[0] for each in outcomes.values()]
        cells = [verdicts.count(kind) for kind in KINDS]
        cells += [sum(each[place] for each in outcomes.values()) for place in range(3)]
        print(f"| {side} | {' | '.join(map(str, cells))} |", flush=True)
    if listed:
        print("\n| network | ours | torch-pruning |\n|---|---|---|")
        for name in cases:
            mine, other = (found[side][name].verdict for side in sides)
            if mine != other:
                print(f"| {name} | {mine} | {other} |")
    print(flush=True)


def cut_ours(model: nn.Module, example: Tensor, sparsity: float = 0.5) -> nn.Module:
    """Trace, score, plan and cut."""
    units = sp.find_units(model, example)
    mask = sp.keep(sp.score(model, units, sp.scores.Magnitude()), sparsity)
    smaller, _ = sp.cut(model, mask, verify=False)
    return smaller


def cut_theirs(model: nn.Module, example: Tensor, sparsity: float = 0.5) -> nn.Module:
    """The same with torch-pruning, on a copy as ours."""
    smaller = copy.deepcopy(model)
    last = [each for each in smaller.modules() if isinstance(each, nn.Linear)][-1]
    heads = {each.qkv: each.num_heads for each in smaller.modules() if isinstance(each, Block)}
    pruner = tp.pruner.MagnitudePruner(
        smaller,
        example,
        importance=tp.importance.MagnitudeImportance(p=2),
        pruning_ratio=sparsity,
        ignored_layers=[last],
        num_heads=heads,
        prune_num_heads=bool(heads),
        head_pruning_ratio=sparsity,
    )
    pruner.step()
    for block in smaller.modules():
        if isinstance(block, Block):  # what its user has to mend by hand
            block.num_heads = pruner.num_heads[block.qkv]
            block.head_dim = block.qkv.out_features // (3 * block.num_heads)
    return smaller


def growing() -> None:
    """Print how long planning and cutting takes, both sides warm and in turn."""
    print("| to trace, score, plan and cut | ours [s] | torch-pruning [s] | ours / torch-pruning |")
    print("|---|---|---|---|")
    for name, (make, shape) in GROWING.items():
        torch.manual_seed(0)
        model, example = make().eval(), torch.randn(shape)
        pairs = []
        for _ in range(ROUNDS + 1):  # the first one is to get warm
            sides = (partial(cut, model, example) for cut in (cut_ours, cut_theirs))
            pairs.append(tuple(map(seconds, sides)))
        mine, others = zip(*pairs[1:], strict=True)
        ratio = spread([a / b for a, b in pairs[1:]])
        print(f"| {name} | {spread(mine)} | {spread(others)} | **{ratio}** |", flush=True)
    print()


def speed() -> None:
    """Print how much faster a cut network is, beside how many multiply-accumulates it saves."""
    print(
        "| network, batch 8 | sparsity | MACs, dense / cut | latency, dense / cut"
        " | MACs, dense / torch-pruning | latency, dense / torch-pruning |"
    )
    print("|---|---|---|---|---|---|")
    for name, (make, shape) in TIMED.items():
        for sparsity in (0.3, 0.5, 0.7):
            torch.manual_seed(0)
            model, example = make().eval(), torch.randn(shape)
            cuts = [works(cut, model, example, sparsity) for cut in (cut_ours, cut_theirs)]
            cells = [cell for each in cuts for cell in faster(model, each, example)]
            print(f"| {name} | {sparsity} | {' | '.join(cells)} |", flush=True)


def works(
    cut: Callable[[nn.Module, Tensor, float], nn.Module],
    model: nn.Module,
    example: Tensor,
    sparsity: float,
) -> nn.Module | None:
    """Return a cut network that runs, or None where a side fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            smaller = cut(model, example, sparsity).eval()
            run(smaller, example)
        except Exception:
            return None
    return smaller


def faster(model: nn.Module, smaller: nn.Module | None, example: Tensor) -> tuple[str, str]:
    """Return how many times fewer multiply-accumulates a cut network has, and how many times less time it takes."""
    if smaller is None:
        return "fails", "fails"
    dense, cut = latencies([model, smaller], example, 30)
    times = f"{dense.median / cut.median:.2f}"
    bounds = f"{dense.median / cut.upper:.2f} to {dense.median / cut.lower:.2f}"
    return f"{num_macs(model, example) / num_macs(smaller, example):.2f}", f"{times} ({bounds})"


def main() -> None:
    """Print all tables."""
    settle()
    signal.signal(signal.SIGALRM, give_up)
    print(f"torch {torch.__version__}, torch-pruning {version('torch-pruning')}, 1 thread\n")
    networks = dict(zoo())
    exactness(f"{len(networks)} networks of the tests", networks, listed=True)
    exactness(f"{NUM_GENERATED} random networks", dict(generated(NUM_GENERATED)), listed=False)
    growing()
    speed()


if __name__ == "__main__":
    main()
