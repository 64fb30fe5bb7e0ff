"""What `Dependence` sees of a layer: what its units change alone, in pairs and in any order, and how alike they are."""

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from surplus.passes import Data, Pairs, Removals, Shapley, shapley
from surplus.passes.geometry import directions
from surplus.passes.statistics import Comoments
from surplus.scores import Layer

LIKENESSES = ("incoming_cosine", "outgoing_cosine", "output_correlation")


class UnitFacts(NamedTuple):
    """Facts about the units of a layer that are still there, in their order."""

    name: str
    units: list[int]
    """The numbers of the units."""
    pairs: Pairs
    """What removing them alone and in pairs changes."""
    shapley: Shapley
    """What removing them changes on the mean over all orders."""
    norm: Float[Tensor, " units"]
    """The length of the incoming weights."""
    likeness: dict[str, Float[Tensor, "units units"]]
    """Of each two units: cosines of incoming and of outgoing weights, and Pearson's correlation of their outputs."""

    @property
    def whole(self) -> float:
        """By how much the loss rises when all units go: Shapley values sum to it in every order."""
        return float(self.shapley.loss.sum())

    @property
    def frame_potential(self) -> Float[Tensor, " units"]:
        """Each unit's contribution to the frame potential, itself included."""
        return self.likeness["incoming_cosine"].square().sum(1)

    @property
    def nearest_correlation(self) -> Float[Tensor, " units"]:
        """Each unit's largest |r| with another; 0 where it has none."""
        return self.likeness["output_correlation"].abs().fill_diagonal_(0.0).amax(1)


def unit_facts(layer: Layer, num_draws: int, seed: int) -> UnitFacts:
    """Gather them on the layer's data, which are read several times."""
    data, kept = layer.examples(), layer.kept
    removals = Removals(layer.model, layer.units, layer.name, data)
    worth = shapley(removals, kept, num_draws, seed)
    weights = layer.weight_vectors[kept]
    incoming, outgoing = directions(weights), directions(layer.outgoing[kept])
    return UnitFacts(
        name=layer.name,
        units=kept.nonzero()[:, 0].tolist(),
        pairs=_pairs_of(removals.pairs(kept), kept),
        shapley=worth._replace(
            **{name: getattr(worth, name)[kept] for name in worth._fields if name != "num_draws"}
        ),
        norm=weights.norm(dim=1).double(),
        likeness={
            "incoming_cosine": incoming @ incoming.T,
            "outgoing_cosine": outgoing @ outgoing.T,
            "output_correlation": _correlation(layer, data)[kept][:, kept],
        },
    )


def _pairs_of(pairs: Pairs, kept: Bool[Tensor, " units"]) -> Pairs:
    alone = ("loss_change", "loss_error", "correct_change", "num_changed")
    together = ("loss_interaction", "correct_interaction")
    return pairs._replace(
        **{name: getattr(pairs, name)[kept] for name in alone},
        **{name: getattr(pairs, name)[kept][:, kept] for name in together},
    )


def _correlation(layer: Layer, data: Data) -> Float[Tensor, "units units"]:
    comoments = Comoments(layer.group.size)
    for emitted in layer.activations():
        rows = emitted.transpose(1, 2).flatten(0, 1)
        comoments.add(rows, num_examples=len(emitted))
    return comoments.correlation
