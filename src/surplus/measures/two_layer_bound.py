"""The two-layer bound: what unit capacities and impacts promise of a network with one hidden layer."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor, nn

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated
from surplus.passes import Data, batches, margins
from surplus.units import chain_of, is_chain

SILENT = (nn.Flatten, nn.Dropout, nn.Identity)


@register("two-layer-bound")
@dataclass(frozen=True, kw_only=True, slots=True)
class TwoLayerBound(Measure):
    r"""Bound the generalisation error of V ReLU(U x) by its distance from initialisation.

    With H units, C classes, n examples and margin g, R = 3 sqrt(2) (sqrt(2 C) + 1) (|V| + 1) (sqrt(sum_j E relu(u_j^0
    x)^2) + |U - U^0| sqrt(E|x|^2) + 1) / g, and the bound is (R + 3 sqrt(5 H + log(max(1, g sqrt(n)) / delta))) /
    sqrt(n), with Frobenius norms. It falls as networks grow wider, where other bounds rise; as a number it is far above
    1 in practice, so it is read from network to network. Biases do not count.

    Reference: neyshabur2019role, Theorem 2, with the constants of the authors' program.
    That program states the squared bound, before it is divided by n.
    """

    references: ClassVar = ("neyshabur2019role",)
    needs: ClassVar = ("weights", "init_weights", "labels")

    percentile: float = 5.0
    """Which percentile of the examples' margins is the network's."""
    delta: float = 0.01
    """The probability with which the bound may not hold."""

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= 100:
            raise InvalidArgument(f"`percentile` is {self.percentile}; it must lie in [0, 100].")
        if not 0 < self.delta < 1:
            raise InvalidArgument(f"`delta` is {self.delta}; it must lie in (0, 1).")

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the logarithms of R and of the bound."""
        data = seen.examples() if seen.parts is None else seen.parts.train
        start = seen.start()
        first, last = _dense(seen.model)
        U = _matrix(first.weight)
        U_0, V = _matrix(start[_name(seen.model, first.weight)]), _matrix(last.weight)
        try:
            found = margins(seen.model, data)
        except InvalidArgument as reason:
            raise Untreated(str(reason)) from reason
        margin, n = float(found.margins.quantile(self.percentile / 100)), len(found.margins)
        if margin <= 0:
            raise Untreated("the margin is not positive, and the bound divides by it")
        hidden = math.sqrt(_mean_square(seen.model, data, U_0))
        moved = float((U - U_0).norm()) * math.sqrt(found.mean_square)
        scale = 3 * math.sqrt(2) * (math.sqrt(2 * len(V)) + 1) * (float(V.norm()) + 1)
        complexity = scale * (hidden + moved + 1) / margin
        rest = 5 * len(U) + math.log(max(1, margin * math.sqrt(n)) / self.delta)
        bound = (complexity + 3 * math.sqrt(rest)) / math.sqrt(n)
        yield Finding(quantity="margin", value=margin, n=n)
        yield Finding(quantity="log10_two_layer_complexity", value=math.log10(complexity), n=n)
        yield Finding(quantity="log10_two_layer_bound", value=math.log10(bound), n=n)


def _dense(model: nn.Module) -> tuple[nn.Linear, nn.Linear]:
    layers = [layer for _, layer in chain_of(model)] if is_chain(model) else []
    acting = [layer for layer in layers if not isinstance(layer, SILENT)]
    kinds = tuple(type(layer) for layer in acting)
    if kinds != (nn.Linear, nn.ReLU, nn.Linear):
        raise Untreated("it is no chain of a dense layer, a rectifier and a dense layer")
    return cast(nn.Linear, acting[0]), cast(nn.Linear, acting[2])


def _name(model: nn.Module, tensor: Tensor) -> str:
    for name, each in model.named_parameters():
        if each is tensor:
            return name
    raise Untreated("its first weight is computed from other tensors")


def _matrix(tensor: Tensor) -> Tensor:
    return tensor.detach().double().cpu()


def _mean_square(model: nn.Module, data: Data, U_0: Tensor) -> float:
    """Return the mean over examples of |relu(U_0 x)|^2."""
    total, count = 0.0, 0
    for inputs, _ in batches(data, model):
        rows = inputs.flatten(1).double().cpu()
        total += float((rows @ U_0.T).clamp_min(0).square().sum())
        count += len(rows)
    return total / count
