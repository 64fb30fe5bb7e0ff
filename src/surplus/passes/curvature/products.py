"""Products of a curvature matrix with blocks of vectors, batch by batch."""

from collections.abc import Callable
from typing import cast, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from surplus.base import InvalidArgument
from surplus.passes.curvature.culprit import culprit
from surplus.passes.curvature.forward import Named, Run
from surplus.passes.curvature.not_twice_differentiable import NotTwiceDifferentiable
from surplus.passes.curvature.operator import Operator
from surplus.passes.curvature.parameters import FlatParameters
from surplus.passes.curvature.undisturbed import undisturbed
from surplus.passes.data import Data, batches

Way = Callable[[Run, Tensor, Named, Named], Named]


@final
class Products:
    """Averages the products over the examples of the data.

    The first of two ways is taken until a network turns out to have an operator that it does not know; from then on
    the second. What the second way says is believed only once it has been seen to be symmetric: a backward pass
    that is hidden from autograd reads as zero there, not as an error.
    """

    def __init__(self, model: nn.Module, data: Data, what: str, ways: tuple[Way, Way]) -> None:
        self._model = model
        self._data = data
        self._what = what
        self._ways = ways
        self._chosen = 0
        self._parameters = FlatParameters(model)

    @property
    def operator(self) -> Operator:
        """The matrix as algorithms take it."""
        flat = self._parameters
        return Operator(flat.size, self._apply, flat.dtype, flat.device, flat.layers)

    def _apply(self, vectors: Float[Tensor, "vectors params"]) -> Float[Tensor, "vectors params"]:
        total = torch.zeros_like(vectors)
        count = 0
        with undisturbed(self._model):
            for inputs, targets in batches(self._data, self._model):
                total += self._batch(inputs, targets, vectors)
                count += len(targets)
        if not bool(total.isfinite().all()):
            raise InvalidArgument(
                f"Products with the {self._what} are not finite: the parameters, the data or the network's derivatives"
                " hold NaN or infinity."
            )
        return total / count

    def _batch(
        self, inputs: Tensor, targets: Tensor, vectors: Float[Tensor, "vectors params"]
    ) -> Float[Tensor, "vectors params"]:
        if self._chosen == 0:
            try:
                return self._by(0, inputs, targets, vectors)
            except (torch.OutOfMemoryError, InvalidArgument):
                raise
            except (RuntimeError, ValueError, TypeError) as error:
                self._check_plain(inputs, targets)
                self._choose_second(inputs, targets, error)
        return self._by(1, inputs, targets, vectors)

    def _by(
        self, way: int, inputs: Tensor, targets: Tensor, vectors: Float[Tensor, "vectors params"]
    ) -> Float[Tensor, "vectors params"]:
        flat = self._parameters

        def run(parameters: Named) -> Tensor:
            return cast(Tensor, functional_call(self._model, parameters, (inputs,)))

        found = self._ways[way](run, targets, flat.tensors, flat.split(vectors))
        return flat.join({name: each.detach() for name, each in found.items()})

    def _check_plain(self, inputs: Tensor, targets: Tensor) -> None:
        """Let a network or data that do not even run complain in their own words."""
        with torch.no_grad():
            F.cross_entropy(self._model(inputs), targets)

    def _choose_second(self, inputs: Tensor, targets: Tensor, first: Exception) -> None:
        flat = self._parameters
        generator = torch.Generator().manual_seed(0)
        pair = torch.randn(2, flat.size, dtype=flat.dtype, generator=generator).to(flat.device)
        try:
            image = self._by(1, inputs, targets, pair)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, TypeError) as error:
            raise self._not_twice(error, inputs) from first
        across = (pair @ image.T).double()
        scale = float((pair.norm(dim=1) * image.norm(dim=1)).max())
        if abs(float(across[0, 1] - across[1, 0])) > 1e3 * torch.finfo(flat.dtype).eps * scale:
            raise self._not_twice(first, inputs) from first
        self._chosen = 1

    def _not_twice(self, error: Exception, inputs: Tensor) -> NotTwiceDifferentiable:
        named = culprit(error, self._model(inputs))
        return NotTwiceDifferentiable(
            f"The {self._what} of {type(self._model).__name__} cannot be had: PyTorch does not differentiate {named}"
            " twice. Write that step in operators that it does, or freeze the parameters before it."
        )
