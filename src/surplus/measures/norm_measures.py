"""Norm measures: what the norms of a network's weights say about how well it may generalise."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.matrices import layer_names
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, untreated
from surplus.passes import margins
from surplus.units import is_chain

FLATTENED = "of the weight as filters x the rest, which is not the norm of the convolution"
NO_CHAIN = "the network is no chain of layers, so no product over its weights bounds it"


@register("norm-measures")
@dataclass(frozen=True, kw_only=True, slots=True)
class NormMeasures(Measure):
    r"""State products of norms, spectral complexities, and what they are at the network's margin.

    With s_i the spectral norm of weight i, F_i its Frobenius norm, Z_i its initialisation: prod s_i, prod F_i, the
    spectral complexity prod s_i (sum_i (|W_i - Z_i|_{2,1} / s_i)^{2/3})^{3/2}, and prod s_i (sum_i F_i^2 / s_i^2)^{1/2}
    with F_i or with the distance from initialisation. |A|_{2,1} is the sum of the norms of A's rows, the units. All are
    stated as logarithms to base 10, since products over layers explode; divided by the margin they measure capacity
    (larger = less is promised). The margin is a low percentile over the examples (choose those of training), since the
    least one is that of an outlier. Constants, widths and logarithms of the published bounds are left out; input norms
    and n stand beside.

    Products bound chains with activation functions of slope 1 at most. Biases and normalisations do not count, and
    convolutions enter as flattened matrices.

    Reference: bartlett2017spectrally, Eq. 1.2; neyshabur2018pac, Theorem 1; neyshabur2019role, for the percentile.
    """

    references: ClassVar = ("bartlett2017spectrally", "neyshabur2018pac", "neyshabur2019role")
    needs: ClassVar = ("weights", "init_weights", "labels")

    percentile: float = 5.0
    """Which percentile of the examples' margins is the network's."""

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= 100:
            raise InvalidArgument(f"`percentile` is {self.percentile}; it must lie in [0, 100].")

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the norms of each weight, the logarithms of the measures, the margin, and the measures over it."""
        W = seen.matrices()
        for name, each in W.items():
            if not bool(each.isfinite().all()):
                raise Untreated(f"some weights of `{name}` are NaN or infinite")
        spectral = {name: spectral_norm(each) for name, each in W.items()}
        frobenius = {name: float(each.norm()) for name, each in W.items()}
        yield from _each(seen, spectral, frobenius)
        start = None
        try:
            start = _start(seen, W)
        except Untreated as reason:
            yield untreated(str(reason))
        logarithms = _logarithms(spectral, frobenius, W, start)
        note = None if is_chain(seen.model) else NO_CHAIN
        for quantity, value in logarithms.items():
            yield Finding(quantity=f"log10_{quantity}", value=value, note=_why(value, note))
        try:
            yield from list(self._at_margin(seen, logarithms, note))
        except Untreated as reason:
            yield untreated(str(reason))

    def _at_margin(
        self, seen: Observed, logarithms: Mapping[str, float | None], note: str | None
    ) -> Iterator[Finding]:
        try:
            found = margins(seen.model, seen.examples())
        except InvalidArgument as reason:
            raise Untreated(str(reason)) from reason
        margin, n = float(found.margins.quantile(self.percentile / 100)), len(found.margins)
        yield Finding(quantity="margin", value=margin, n=n)
        yield Finding(quantity="root_mean_square_input_norm", value=found.mean_square**0.5, n=n)
        yield Finding(quantity="greatest_absolute_input", value=found.greatest, n=n)
        for quantity, value in logarithms.items():
            finding = Finding(quantity=f"log10_{quantity}_over_margin", value=None, n=n)
            if margin <= 0:
                yield replace(finding, note="the margin is not positive")
            elif value is None:
                yield replace(finding, note=_why(value, note))
            else:
                yield replace(finding, value=value - math.log10(margin), note=note)


def _start(seen: Observed, W: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the weights at initialisation, where they have the shapes that they have now."""
    start = seen.initial_matrices()
    for name, each in W.items():
        if start[name].shape != each.shape:
            raise Untreated(f"`{name}` had another shape at initialisation")
    return start


def _each(
    seen: Observed, spectral: Mapping[str, float], frobenius: Mapping[str, float]
) -> Iterator[Finding]:
    axes = {name: parameter.dim() for name, parameter in seen.model.named_parameters()}
    layers = layer_names(spectral)
    for name, value in spectral.items():
        note = FLATTENED if axes[name] > 2 else None
        yield Finding(quantity="spectral_norm", value=value, layer=layers[name], note=note)
        yield Finding(quantity="frobenius_norm", value=frobenius[name], layer=layers[name])


def spectral_norm(W: Float[Tensor, "rows columns"]) -> float:
    """Return the largest singular value, from the smaller Gram matrix.

    Example:
        >>> spectral_norm(torch.tensor([[0.0, 3.0], [4.0, 0.0], [0.0, 0.0]]))
        4.0
    """
    rows = W if W.shape[0] <= W.shape[1] else W.T
    return float(torch.linalg.eigvalsh(rows @ rows.T)[-1].clamp_min(0).sqrt())


def _logarithms(
    spectral: Mapping[str, float],
    frobenius: Mapping[str, float],
    W: Mapping[str, Tensor],
    Z: Mapping[str, Tensor] | None,
) -> dict[str, float | None]:
    """Return log10 of each measure; None where it is zero or there is no direction to scale by."""
    if not spectral or min(spectral.values()) == 0:
        return dict.fromkeys(("product_of_spectral_norms", "product_of_frobenius_norms"))
    product = sum(math.log10(each) for each in spectral.values())

    def scaled(lengths: Mapping[str, float], power: float) -> float | None:
        total = sum((length / spectral[name]) ** power for name, length in lengths.items())
        return product + math.log10(total) / power if total > 0 else None

    found: dict[str, float | None] = {
        "product_of_spectral_norms": product,
        "product_of_frobenius_norms": sum(math.log10(each) for each in frobenius.values()),
        "spectral_frobenius": scaled(frobenius, 2.0),
    }
    if Z is not None:
        rows = {name: float((W[name] - Z[name]).norm(dim=1).sum()) for name in spectral}
        apart = {name: float((W[name] - Z[name]).norm()) for name in spectral}
        found["spectral_complexity"] = scaled(rows, 2 / 3)
        found["spectral_frobenius_distance"] = scaled(apart, 2.0)
    return found


def _why(value: float | None, note: str | None) -> str | None:
    return note if value is not None else "a weight or its distance is zero: it has no logarithm"
