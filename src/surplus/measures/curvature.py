"""Curvature: how steeply the loss bends, in how many directions, and in which layers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, untreated
from surplus.passes import Estimate, evaluated, sampled
from surplus.passes.curvature import (
    IGNORED,
    Eigenvalue,
    NotTwiceDifferentiable,
    Operator,
    Spectrum,
    Trace,
    gauss_newton,
    hessian,
    layer_traces,
    spectrum,
    trace,
)
from surplus.passes.statistics import chunks
from surplus.units import layer_of

BATCH = 32  # examples that are differentiated at once: much of each is kept until the end
OPERATORS = {"ggn": gauss_newton, "hessian": hessian}


@register("curvature")
@dataclass(frozen=True, kw_only=True, slots=True)
class Curvature(Measure):
    """State trace, largest eigenvalues and density of the loss's Hessian or Gauss-Newton matrix.

    The loss is the mean cross-entropy in evaluation mode over examples that are drawn once; the matrix is over all
    trainable parameters, tied ones once. Directions along which the loss does not bend are surplus; how many do bend is
    the participation ratio (sum of eigenvalues)^2 / (sum of their squares). Intervals are over the random probes, with
    the examples held fixed; those of eigenvalues are bounds between which an eigenvalue lies.

    Reference: ghorbani2019investigation, Section 2; meyer2021hutch, Algorithm 1, for the trace.
    The traces of layers come from plain gradients; see decisions/0018-curvature.md.
    The Gauss-Newton matrix, which has no negative eigenvalue, is the default in place of the Hessian.
    """

    references: ClassVar = (
        "ghorbani2019investigation",
        "meyer2021hutch",
        "pearlmutter1994fast",
        "schraudolph2002fast",
    )
    needs: ClassVar = ("labels",)

    operator: Literal["ggn", "hessian"] = "ggn"
    """The generalised Gauss-Newton matrix, or the Hessian with the curvature of the network itself."""
    num_eigenvalues: int = 5
    """How many of the largest eigenvalues to state."""
    num_probes: int = 5
    """Random vectors for the density; as many more sketch the trace and as many estimate what the sketch leaves out."""
    num_steps: int = 30
    """Lanczos steps from each probe."""
    num_examples: int = 256
    """How many examples to draw from the data."""
    num_points: int = 101
    """Where to state the density: so many places from the smallest eigenvalue seen to the largest."""
    width: float = 0.01
    """The standard deviation of the Gaussian that smooths the density, as a fraction of that range."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the trace, in total and by layer, directions, eigenvalues and density.

        Raises:
            InvalidArgument: a setting is out of range.
            Untreated: there are no data, or the network cannot be differentiated twice; the reason names the operator.
        """
        self._check()
        drawn = sampled(seen.examples(), self.num_examples, seen.seed)
        data = list(chunks(drawn, seen.model, BATCH))
        _check_labels(seen, data)
        try:
            operator = OPERATORS[self.operator](seen.model, data)
            traced = trace(operator, self.num_probes, seen.seed)
            spread = spectrum(operator, self.num_probes, self.num_steps, seen.seed)
            layers = traced.parts
            if self.operator == "ggn":
                layers = layer_traces(seen.model, data, self.num_probes, seen.seed)
        except (NotTwiceDifferentiable, InvalidArgument) as reason:
            raise Untreated(str(reason)) from reason
        yield Finding(
            quantity="num_examples", value=sum(len(each) for each, _ in data), seed=seen.seed
        )
        yield from self._traces(seen, operator, traced, layers)
        yield from self._eigenvalues(seen, spread)
        yield from self._density(seen, spread)

    def _check(self) -> None:
        if self.operator not in OPERATORS:
            raise InvalidArgument(
                f'`operator` is {self.operator!r}; it must be "ggn" or "hessian".'
            )
        for name in ("num_eigenvalues", "num_probes", "num_steps", "num_examples", "num_points"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"`{name}` is {getattr(self, name)}; it must be at least 1.")
        if not self.width > 0:
            raise InvalidArgument(f"`width` is {self.width:g}; it must be above 0.")

    def _traces(
        self, seen: Observed, operator: Operator, found: Trace, layers: dict[str, Estimate]
    ) -> Iterator[Finding]:
        yield Finding(quantity="num_parameters", value=operator.size)
        yield _finding("trace", found.total, seen)
        if self.operator == "ggn":  # without negative eigenvalues, which would cancel in the trace
            yield _finding("effective_num_directions", found.num_directions, seen)
        for layer, each in layers.items():
            yield replace(_finding("trace", each, seen), layer=layer)
        owners = dict.fromkeys(layer_of(name) for name, _ in seen.model.named_parameters())
        for layer in owners:
            if layer not in layers:
                yield replace(untreated("its parameters are frozen"), layer=layer)

    def _eigenvalues(self, seen: Observed, found: Spectrum) -> Iterator[Finding]:
        for place, each in enumerate(found.largest(self.num_eigenvalues), start=1):
            yield _bounded("eigenvalue", each, seen, self.num_probes, float(place))
        if self.operator == "hessian":
            yield _bounded("smallest_eigenvalue", found.smallest(), seen, self.num_probes)

    def _density(self, seen: Observed, found: Spectrum) -> Iterator[Finding]:
        low, high = found.smallest().value, found.largest(1)[0].value
        if not high > low:
            return  # all eigenvalues are one
        places = torch.linspace(low, high, self.num_points, dtype=torch.float64)
        for at, each in zip(
            places.tolist(), found.density(places, self.width * (high - low)), strict=True
        ):
            yield replace(_finding("density", each, seen), at=at)


def _finding(quantity: str, found: Estimate, seen: Observed) -> Finding:
    return Finding(
        quantity=quantity,
        value=found.value,
        lower=found.lower,
        upper=found.upper,
        n=found.n,
        seed=seen.seed,
    )


def _bounded(
    quantity: str, found: Eigenvalue, seen: Observed, draws: int, at: float | None = None
) -> Finding:
    return Finding(
        quantity=quantity,
        value=found.value,
        lower=found.lower,
        upper=found.upper,
        at=at,
        n=draws,
        seed=seen.seed,
    )


def _check_labels(seen: Observed, data: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Refuse what has no cross-entropy."""
    outputs = evaluated(seen.model, data[0][0][:2])
    if not isinstance(outputs, Tensor) or outputs.dim() < 2:
        raise Untreated(
            "it looks at the loss of a classifier, and the model does not return logits as one tensor"
        )
    for _, targets in data:
        counted = targets[targets != IGNORED]
        if not targets.is_floating_point() and counted.numel():
            if not 0 <= int(counted.min()) <= int(counted.max()) < outputs.shape[1]:
                raise Untreated("there are labels for which the model has no output")
