"""The similarity graph: which units of a layer hang together when like directions are joined."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.present import present
from surplus.measures.untreated import per_layer
from surplus.passes.geometry import SpanningTree, directions, mean_cosine_distance

CUT_OFFS = tuple(step / 20 for step in range(1, 20))


@register("similarity-graph")
@dataclass(frozen=True, kw_only=True, slots=True)
class SimilarityGraph(Measure):
    r"""Join units of like direction, and state into how many components a layer falls as the cut-off rises.

    The distance of two units is d = 1 - cosine and the weight of their edge exp(-d^2 / sigma^2), where sigma is the
    mean of d over all pairs and, if the snapshots of the run are known, over all of them: a sigma for each time would
    hide that directions move together. Edges below the cut-off do not count. At the default cut-off the components are
    listed with their sizes and the longest weight vector inside, and the two are correlated.

    Reference: heitmann2020sources, the graph of units; gower1969minimum, for all cut-offs from one tree.
    The report also uses exp(-(1 - x) / sigma^2) and half the distance; here it is the kernel above throughout.
    """

    references: ClassVar = ("heitmann2020sources", "gower1969minimum")
    needs: ClassVar = ("weights", "history")

    degrees: float = 60.0
    """The default cut-off, as the angle that two units may lie apart."""
    cut_offs: tuple[float, ...] = CUT_OFFS
    """The weights at which components are counted."""
    num_listed: int = 10
    """How many components of two units or more are listed, the largest first."""

    def __post_init__(self) -> None:
        if not 0 < self.degrees <= 180:
            raise InvalidArgument(
                f"`degrees` is {self.degrees}; it must lie above 0, up to 180 (opposite directions)."
            )
        if not all(0 < each <= 1 for each in self.cut_offs):
            raise InvalidArgument(
                f"`cut_offs` is {self.cut_offs}; weights lie above 0, up to 1 (equal directions)."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield sigma, the numbers of components, and what the components at the default cut-off are like."""
        pooled = _pooled(seen)
        return per_layer(seen.names, lambda name: self._layer(seen, name, pooled))

    def _layer(
        self, seen: Observed, name: str, pooled: Mapping[str, list[tuple[float, int]]]
    ) -> Iterator[Finding]:
        index = present(seen, name)
        rows = seen.weight_vectors(name)[index]
        hats = directions(rows)
        times = pooled[name] if pooled.get(name) else [(mean_cosine_distance(hats), 1)]
        sigma = sum(mean * pairs for mean, pairs in times) / sum(pairs for _, pairs in times)
        # Rounding must not tear apart what is equal.
        distances = (1 - hats @ hats.T).clamp(0, 2)
        distances[distances < 1e-12] = 0
        tree = SpanningTree(-distances)
        yield Finding(quantity="sigma", value=sigma, n=len(times), note=_over(len(times)))
        for cut_off in self.cut_offs:
            reach = _reach(cut_off, sigma)
            yield Finding(quantity="num_components", value=tree.num_components(-reach), at=cut_off)
            yield Finding(
                quantity="cut_off_degrees", value=math.degrees(math.acos(1 - reach)), at=cut_off
            )
        reach = 1 - math.cos(math.radians(self.degrees))
        yield Finding(quantity="cut_off_degrees", value=self.degrees)
        yield Finding(quantity="cut_off_weight", value=_weight(reach, sigma))
        yield from self._components(tree.components(-reach - 1e-12), rows.norm(dim=1))

    def _components(
        self, labels: Int[Tensor, " units"], norms: Float[Tensor, " units"]
    ) -> Iterator[Finding]:
        sizes = labels.bincount()
        longest = torch.zeros(len(sizes), dtype=norms.dtype)
        longest = longest.scatter_reduce(0, labels, norms, "amax")
        yield Finding(quantity="num_components", value=len(sizes), n=len(labels))
        yield Finding(quantity="num_single_units", value=int((sizes == 1).sum()))
        yield Finding(quantity="largest_component_size", value=int(sizes.max()))
        yield _correlation(sizes.double(), longest)
        ranked = sorted(zip(sizes.tolist(), longest.tolist(), strict=True), reverse=True)
        for place, (size, norm) in enumerate(ranked[: self.num_listed]):
            if size > 1:
                yield Finding(quantity="component_size", value=size, at=float(place))
                yield Finding(quantity="component_greatest_norm", value=norm, at=float(place))


def _pooled(seen: Observed) -> dict[str, list[tuple[float, int]]]:
    """Return the mean distance and the number of pairs at each time of the run, by layer, from one reading."""
    history: Iterable[tuple[int, Mapping[str, Tensor]]] = seen.history() if seen.history else ()
    pooled: dict[str, list[tuple[float, int]]] = {name: [] for name in seen.names}
    for _, state in history:
        for name in seen.names:
            if not seen.group(name).incoming:
                continue
            W = seen.units.weight_vectors(name, state).double().cpu()
            hats = directions(W[seen.kept(name) & (W.norm(dim=1) > 0)])
            if len(hats) > 1:
                num_pairs = len(hats) * (len(hats) - 1) // 2
                pooled[name].append((mean_cosine_distance(hats), num_pairs))
    return pooled


def _weight(distance: float, sigma: float) -> float:
    """Return the weight of an edge; where all units are equal at all times, there is no scale and none is needed."""
    return math.exp(-((distance / sigma) ** 2)) if sigma > 0 else float(distance == 0)


def _reach(weight: float, sigma: float) -> float:
    """Return how far apart two units may lie for their edge to have at least this weight."""
    return min(sigma * math.sqrt(-math.log(weight)), 2.0)


def _over(num_times: int) -> str:
    return "over one time" if num_times == 1 else f"over {num_times} times of the run"


def _correlation(
    sizes: Float[Tensor, " components"], norms: Float[Tensor, " components"]
) -> Finding:
    quantity = "size_norm_correlation"
    n = len(sizes)
    if any(float(each.std(correction=0)) <= 1e-12 * float(each.mean()) for each in (sizes, norms)):
        reason = "all components are of the same size, or all are as long"
        return Finding(quantity=quantity, value=None, n=n, note=reason)
    value = float(torch.corrcoef(torch.stack([sizes, norms]))[0, 1])
    return Finding(quantity=quantity, value=max(-1.0, min(1.0, value)), n=n)
