"""Claims: published or own statements, each with the test of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, final

from surplus.base import InvalidArgument

if TYPE_CHECKING:
    from surplus.studies.evidence import Evidence
    from surplus.studies.found import Found

Scale = Literal["smoke", "default", "full"]
SCALES: tuple[Scale, ...] = ("smoke", "default", "full")
THEORIES = {
    "tickets": "few units were lucky at initialisation, and they alone matter",
    "alignment": "training turns units into the same few directions",
    "low rank": "what is learnt is a change of few dimensions, whatever the width",
    "model averaging": "every unit says the same with its own noise, and the sum is their mean",
    "random matrices": "most of a weight matrix stays as random as it began",
    "capacity": "wider networks move less, so they use less of what they have",
}
"""Theories of where redundancy comes from, each in a sentence."""
Test = Callable[[Any, "Found"], "Evidence"]
T = TypeVar("T", bound=Test)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A statement, where it stands, and the function of a study that tests it."""

    name: str
    """Its name within the study: that of the function, with hyphens."""
    sentence: str
    """The statement."""
    source: str
    """A key of the bibliography, or "own"."""
    place: str
    """Where it stands in the source; for an own claim, what led to it."""
    needs: Scale
    """The smallest scale at which the statement can be tested; below it the verdict is *undecided*."""
    theory: str
    """The theory whose prediction it is, where the claim tells theories apart; else empty."""
    method: str
    """How it is tested: the docstring of the function."""

    @property
    def function(self) -> str:
        """The name of the function that tests it."""
        return self.name.replace("-", "_")


def claim(
    sentence: str,
    *,
    source: str = "own",
    place: str = "",
    needs: Scale = "default",
    theory: str = "",
) -> Callable[[T], T]:
    """Make a method of a study the test of a claim.

    Args:
        sentence: The statement, as it stands in the ledger.
        source: A key of the bibliography, or "own".
        place: Where in the source: a section, figure or table.
        needs: The smallest scale at which the statement can be tested.
        theory: The theory that predicts it while others do not; such claims make up the synthesis page.

    Raises:
        InvalidArgument: there is no such scale, or no such theory is compared.
    """
    if needs not in SCALES:
        raise InvalidArgument(f'`needs` is {needs!r}; it is "smoke", "default" or "full".')
    if theory and theory not in THEORIES:
        raise InvalidArgument(
            f"`theory` is {theory!r}; the theories compared are {', '.join(THEORIES)}."
        )

    def mark(test: T) -> T:
        test.claim = Claim(  # type: ignore[attr-defined]
            name=test.__name__.replace("_", "-"),
            sentence=sentence,
            source=source,
            place=place,
            needs=needs,
            theory=theory,
            method=" ".join((test.__doc__ or "").split()),
        )
        return test

    return mark
