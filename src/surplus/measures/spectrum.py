"""Spectrum: the singular values of weight matrices, in a few numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.matrices import by_layer, parameters_of, trimmed, update_of, values_of
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import per_layer
from surplus.passes.spectra import (
    effective_rank,
    elbow,
    numerical_rank,
    participation_ratio,
    powers_of_two,
    relative_errors,
    spectral_entropy,
    stable_rank,
)


@register("spectrum")
@dataclass(frozen=True, kw_only=True, slots=True)
class Spectrum(Measure):
    r"""State how many directions each weight matrix has, in several senses, and how large they are.

    A convolution is one matrix of filters x (inputs x positions of the kernel). With singular values s_i, the largest
    first: the stable rank is sum s_i^2 / s_1^2, the effective rank exp of the entropy of s_i / sum s_j, the
    participation ratio (sum s_i^2)^2 / sum s_i^4, the numerical rank the count above N epsilon s_1, with N the longer
    side; the relative error of rank k is ||W - W_k|| / ||W||, and its elbow the rank where the squared error bends
    most. Where the weights at initialisation are known, the same is said of the update, what training added to them.

    Reference: roy2007effective, Definition 1, for the effective rank; rudelson2007sampling, Remark 1.3, for the stable
    rank; eckart1936approximation for the errors; satopaa2011finding, Section III, for the elbow; martin2021implicit,
    Section 2.1, for the entropy.
    """

    references: ClassVar = (
        "roy2007effective",
        "rudelson2007sampling",
        "eckart1936approximation",
        "satopaa2011finding",
        "martin2021implicit",
    )
    ranks: tuple[int, ...] = ()
    """The ranks whose reconstruction error is stated; none stands for 1, 2, 4 and so on."""
    eigenvalues: bool = False
    """Whether to state every eigenvalue of W W^T."""
    by_position: bool = False
    """Whether a convolution counts as the block-diagonal matrix of one block for each position of its kernel, instead
    of as one matrix of filters x (inputs x positions)."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield ranks, norms and the errors of low-rank approximations for every weight matrix, and for its update."""
        matrices = by_layer(seen.matrices())
        yield from self._all(seen, "weights", matrices)
        if seen.initial is not None:
            initial = by_layer(seen.initial_matrices())
            for found in self._all(seen, "update", matrices, initial):
                yield replace(found, quantity=f"update_{found.quantity}")

    def _all(
        self,
        seen: Observed,
        what: str,
        matrices: Mapping[str, Tensor],
        initial: Mapping[str, Tensor] | None = None,
    ) -> Iterator[Finding]:
        parameters, names = dict(seen.model.named_parameters()), parameters_of(seen)

        def one(layer: str) -> Iterator[Finding]:
            W = matrices[layer] if initial is None else update_of(layer, matrices, initial)
            parameter = parameters[names[layer]]
            used = trimmed(W, parameter.shape, self.by_position)
            found = values_of(seen, what, layer, used.stack).flatten()
            zeros = len(used.stack) * min(used.full_shape) - len(found)
            values = torch.cat([found, found.new_zeros(zeros)]).sort(descending=True).values
            # Weights in half precision are kept in float32 by those who train them.
            wide = parameter.dtype == torch.float64
            epsilon = torch.finfo(torch.float64 if wide else torch.float32).eps
            return self._layer(values, max(used.full_shape), epsilon)

        return per_layer(list(matrices), one)

    def _layer(
        self, values: Float[Tensor, " values"], num_long: int, epsilon: float
    ) -> Iterator[Finding]:
        rank = numerical_rank(values, num_long, epsilon)
        largest, total = values[0], values.square().sum()
        numbers: dict[str, float | int] = {
            "stable_rank": stable_rank(values),
            "effective_rank": effective_rank(values),
            "numerical_rank": rank,
            "full_rank": len(values),
            "participation_ratio": participation_ratio(values),
            "spectral_entropy": spectral_entropy(values, rank),
            "spectral_norm": float(largest),
            "frobenius_norm": float(total.sqrt()),
            "log10_squared_spectral_norm": float(largest.square().log10()),
            "log10_squared_frobenius_norm": float(total.log10()),
            "elbow_rank": elbow(values),
        }
        for quantity, value in numbers.items():
            yield Finding(quantity=quantity, value=value)
        errors = relative_errors(values)
        for k in self.ranks or powers_of_two(len(values)):
            if 0 <= k <= len(values):
                yield Finding(quantity="relative_error", value=float(errors[k]), at=float(k))
        if self.eigenvalues:
            for number, value in enumerate(values.square().tolist(), start=1):
                yield Finding(quantity="eigenvalue", value=value, at=float(number))
