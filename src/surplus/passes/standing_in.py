"""Standing in: each removed unit as the best combination of the kept ones, fitted to activations."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits import StandIns
from surplus.masks import Mask
from surplus.passes.data import Data
from surplus.passes.taps import activations
from surplus.units import Units


def stand_ins(
    model: nn.Module, mask: Mask, data: Data, constants: bool = True
) -> dict[str, StandIns]:
    """Fit for every removed unit a weighted sum of the kept units of its layer and a constant, by least squares.

    Units are seen after their activation function, at all positions, in one pass for each layer; sums are in double
    precision. `merge` lets the kept units take over what the removed ones did by these weights.

    Args:
        model: The model on whose units the mask was made, or one of the same shape.
        mask: A mask over units.
        data: The (inputs, targets) to fit to; the targets are not looked at.
        constants: Whether a constant is fitted, too; what reads the layer needs a bias to take it.

    Returns:
        The stand-ins by layer, with what is left of each removed unit as a fraction of its root mean square.

    Raises:
        InvalidArgument: the mask is not bound to units, or units of a layer can be seen nowhere.

    Example:
        >>> from surplus.units import find_units
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
        >>> with torch.no_grad():
        ...     _ = net[0].weight[2].copy_(net[0].weight[0] - 2 * net[0].weight[1])
        >>> inputs = torch.randn(50, 4)
        >>> mask = Mask.full(find_units(net, inputs))
        >>> mask.kept["0"][2] = False
        >>> stand_ins(net, mask, [(inputs, inputs)])["0"].coefficients.round(decimals=4).tolist()
        [[1.0, -2.0]]
    """
    units = mask.checked_units()
    found = {}
    for name in mask.kept:
        removed, kept = mask.removed_index(name), mask.kept_index(name)
        if len(removed):
            found[name] = Fitting(model, units, name, data).fit(removed, kept, constants)
    units.check(model)
    return found


@final
class Fitting:
    """Fits the stand-ins of one layer, for as many choices of removed units as wanted, after one pass over the data.

    Args:
        model: The model whose units they are, or one of the same shape.
        units: The units.
        name: The layer.
        data: The (inputs, targets) to fit to; the targets are not looked at.

    Raises:
        InvalidArgument: the layer's units can be seen nowhere.
    """

    def __init__(self, model: nn.Module, units: Units, name: str, data: Data) -> None:
        self._gram = _gram(model, units, name, data)

    def fit(
        self,
        removed: Int[Tensor, " removed"],
        kept: Int[Tensor, " kept"],
        constants: bool = True,
    ) -> StandIns:
        """Return the removed units as weighted sums of the kept ones and, if wanted, of a constant."""
        return _fitted(self._gram, removed, kept, constants)


def _gram(
    model: nn.Module, units: Units, name: str, data: Data
) -> Float[Tensor, "units_and_one units_and_one"]:
    """Return the products of all pairs of units of a layer, and of each with one, over data and positions."""
    tap = units[name].tap
    if tap is None:
        raise InvalidArgument(
            f"The units of `{name}` never lie along one axis, so that their activations cannot be compared."
        )
    gram: Tensor | float = 0.0
    for seen in activations(model, tap, data):
        rows = seen.double().movedim(1, -1).flatten(0, -2)
        rows = torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)
        gram = gram + (rows.T @ rows).cpu()
    assert isinstance(gram, Tensor)
    return gram


def _fitted(gram: Tensor, removed: Tensor, kept: Tensor, constants: bool) -> StandIns:
    one = torch.tensor([len(gram) - 1])
    basis = torch.cat([kept, one]) if constants else kept
    within = gram[basis][:, basis]
    solution = torch.linalg.lstsq(within, gram[basis][:, removed], driver="gelsd").solution.T
    squares = gram[removed, removed]
    explained = (solution * gram[removed][:, basis]).sum(1)
    left = ((squares - explained).clamp(min=0) / squares.clamp(min=1e-300)).sqrt()
    if not constants:
        return StandIns(coefficients=solution, residuals=left)
    return StandIns(coefficients=solution[:, :-1], constants=solution[:, -1], residuals=left)
