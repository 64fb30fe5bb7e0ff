"""The spectrum of an operator: its largest eigenvalues and how all of them are spread."""

import math
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, derive
from surplus.passes.curvature.lanczos import lanczos
from surplus.passes.curvature.operator import Operator
from surplus.passes.estimates import Estimate, mean_estimate

HELD = 1 << 26  # numbers of the Krylov spaces that are held at once: 256 MB of float32


class Eigenvalue(NamedTuple):
    """An eigenvalue: one of the matrix's lies between the bounds."""

    value: float
    lower: float
    upper: float


@final
class Spectrum:
    """What Lanczos from random starts sees: for each probe, points on the axis of eigenvalues and their weights.

    For any polynomial f of a degree below twice the number of steps, the weighted sum of f over a probe's points is
    v^T f(A) v exactly, with v the probe scaled to length 1; on average over probes that is the mean of f over all
    eigenvalues.
    """

    def __init__(
        self,
        points: Float[Tensor, "probes steps"],
        weights: Float[Tensor, "probes steps"],
        residuals: Float[Tensor, "probes steps"],
        size: int,
    ) -> None:
        self.points = points
        """In ascending order."""
        self.weights = weights
        """They sum to 1 for each probe."""
        self.residuals = residuals
        """An eigenvalue lies at most so far from each point."""
        self.size = size
        """The number of eigenvalues."""

    def largest(self, count: int) -> list[Eigenvalue]:
        """Return the largest eigenvalues in descending order, each from the probe that bounds it best.

        The bounds are rigorous for there being an eigenvalue between them, and cover rounding in the recurrence. An
        eigenvalue that has several eigenvectors is seen once, unless the steps are as many as the matrix has rows.
        """
        return [self._best(-place) for place in range(1, min(count, self.points.shape[1]) + 1)]

    def smallest(self) -> Eigenvalue:
        """Return the smallest eigenvalue, negative where the loss curves down."""
        return self._best(0)

    def _best(self, place: int) -> Eigenvalue:
        probe = int(self.residuals[:, place].argmin())
        value, bound = float(self.points[probe, place]), float(self.residuals[probe, place])
        return Eigenvalue(value, value - bound, value + bound)

    def moment(self, power: int) -> Estimate:
        """Return the mean over all eigenvalues of their powers."""
        return mean_estimate((self.weights * self.points**power).sum(1))

    def density(self, at: Float[Tensor, " places"], width: float) -> list[Estimate]:
        """Return the density of eigenvalues, smoothed by a Gaussian; over the whole axis it integrates to 1.

        Args:
            at: Where.
            width: The standard deviation of the Gaussian.

        Raises:
            InvalidArgument: `width` is not above 0.
        """
        if not width > 0:
            raise InvalidArgument(
                f"`width` is {width:g}; it must be above 0: it is the standard deviation of the Gaussian that smooths."
            )
        gaps = (at.double()[:, None, None] - self.points) / width
        bells = (-gaps.square() / 2).exp() / (width * math.sqrt(2 * math.pi))
        found = [mean_estimate(each) for each in (bells * self.weights).sum(2)]
        return [
            each if each.lower is None else each._replace(lower=max(each.lower, 0.0))
            for each in found
        ]


def spectrum(
    operator: Operator, num_probes: int = 10, num_steps: int = 30, seed: int = 0
) -> Spectrum:
    """Look at the spectrum by Lanczos with full re-orthogonalisation from random vectors of plus and minus one.

    Memory: at most 256 MB of numbers in single precision, or one probe's `num_steps` vectors where those are more.

    Args:
        operator: The matrix.
        num_probes: The number of starts.
        num_steps: The number of steps from each, cut down to the matrix's size.
        seed: Of the probes.

    Raises:
        InvalidArgument: fewer than one probe or step.

    Reference: ghorbani2019investigation, Section 2.

    Example:
        >>> found = spectrum(Operator.of(torch.diag(torch.tensor([3.0, 1.0, 0.5]))))
        >>> [round(each.value, 4) for each in found.largest(2)]
        [3.0, 1.0]
    """
    for name, given in (("num_probes", num_probes), ("num_steps", num_steps)):
        if given < 1:
            raise InvalidArgument(f"`{name}` is {given}; it must be at least 1.")
    num_steps = min(num_steps, operator.size)
    together = max(1, HELD // (num_steps * operator.size))
    found = []
    for first in range(0, num_probes, together):
        numbers = range(first, min(first + together, num_probes))
        starts = torch.stack([signs(operator, seed, "probe", number) for number in numbers])
        generator = torch.Generator().manual_seed(derive(seed, "curvature", "reopened", first))
        tridiagonal = lanczos(operator, starts, num_steps, generator)
        points, vectors = torch.linalg.eigh(tridiagonal.matrix())
        missed = vectors[:, -1].abs() * tridiagonal.beside[:, -1:]
        rounding = 8 * torch.finfo(operator.dtype).eps * num_steps**0.5 * points.abs().amax(1)
        found.append((points, vectors[:, 0].square(), missed + rounding[:, None]))
    points, weights, residuals = (torch.cat(each) for each in zip(*found, strict=True))
    return Spectrum(points, weights, residuals, operator.size)


def signs(operator: Operator, seed: int, *path: str | int) -> Float[Tensor, " params"]:
    """Return a random vector of plus and minus one for an operator, the same on every device."""
    generator = torch.Generator().manual_seed(derive(seed, "curvature", *path))
    drawn = torch.randint(0, 2, (operator.size,), generator=generator, dtype=torch.int8)
    return (2 * drawn - 1).to(operator.device, operator.dtype)
