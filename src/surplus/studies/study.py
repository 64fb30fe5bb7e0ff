"""The family of studies: a question, the runs that could answer it, and the claims that are tested on them."""

import inspect
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

from surplus.base import Family, InvalidArgument, SurplusError, label
from surplus.studies.arm import Arm
from surplus.studies.claim import SCALES, Claim, Scale
from surplus.studies.evidence import Evidence, undecided
from surplus.studies.found import Found

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

S = TypeVar("S", bound="Study")  # `Self` is not understood where shapes are checked at run time


class Study(Family):
    """A question. A member is a frozen dataclass: its fields are the scale, its methods the protocol.

    Its docstring says what is done, as the methods section of a paper would; methods marked with `claim` test
    the claims.
    """

    __slots__ = ()

    question: ClassVar[str] = ""
    """What is asked."""
    smoke: ClassVar[Mapping[str, Any]] = {}
    """The fields that differ in a first try of one to two minutes."""
    full: ClassVar[Mapping[str, Any]] = {}
    """The fields that differ at the published scale."""

    seeds: int
    """How many replicas each arm has. Every study has this field."""

    @abstractmethod
    def arms(self) -> Iterable[Arm]:
        """Return the grid: what is trained and computed."""

    def tables(self, found: Found) -> Mapping[str, "pandas.DataFrame"]:
        """Return the results as tables a reader wants, by name; beside them, those of the methods are kept whole."""
        return {}

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Return the figures by name."""
        return {}

    @final
    @classmethod
    def at_scale(cls: type[S], scale: Scale) -> S:
        """Return the study at one of its scales.

        Raises:
            InvalidArgument: the scale names a field that the study does not have, or it has no `seeds`.
        """
        known = [each.name for each in fields(cls)]  # type: ignore[arg-type]
        if "seeds" not in known:
            raise InvalidArgument(f"`{cls.__name__}` has no field `seeds`; every study has one.")
        changes = {"smoke": cls.smoke, "default": {}, "full": cls.full}[scale]
        for name in changes:
            if name not in known:
                raise InvalidArgument(
                    f"`{cls.__name__}.{scale}` sets `{name}`, but its fields are {', '.join(known)}."
                )
        return replace(cls(), **changes)  # type: ignore[type-var]

    @final
    def with_seeds(self: S, seeds: int) -> S:
        """Return the study with another number of replicas.

        Raises:
            InvalidArgument: fewer than one.
        """
        if seeds < 1:
            raise InvalidArgument(f"`seeds` is {seeds}; a study needs at least one replica.")
        return replace(self, seeds=seeds)  # type: ignore[type-var]

    @final
    @classmethod
    def claims(cls) -> tuple[Claim, ...]:
        """Return the claims in the order in which they stand in the file."""
        found = (getattr(each, "claim", None) for each in vars(cls).values())
        return tuple(each for each in found if isinstance(each, Claim))

    @final
    def evidence(self, found: Found) -> dict[Claim, Evidence]:
        """Test every claim on what was found.

        Raises:
            InvalidArgument: a test does not fit the tables, or does not return evidence.
        """
        return {each: _tested(self, each, found) for each in self.claims()}

    @final
    def settings(self) -> dict[str, str]:
        """Return the fields by name, in words."""
        return {each.name: _said(getattr(self, each.name)) for each in fields(self)}  # type: ignore[arg-type]

    @final
    @classmethod
    def protocol(cls) -> str:
        """Return what is done: the docstring, a line for each paragraph."""
        paragraphs = inspect.cleandoc(cls.__doc__ or "").split("\n\n")
        return "\n\n".join(" ".join(each.split()) for each in paragraphs)


def _said(value: Any) -> str:
    if isinstance(value, Family):
        return label(value)
    if isinstance(value, tuple | list):
        return ", ".join(map(_said, value))
    return str(value)


def _tested(study: Study, claim: Claim, found: Found) -> Evidence:
    """Test a claim; at a scale that is too small for it, there may be no number."""
    small = SCALES.index(found.scale) < SCALES.index(claim.needs)
    reason = f"smaller scale: {found.scale}"
    try:
        evidence = getattr(study, claim.function)(found)
    except SurplusError as wrong:
        if small:
            return undecided("at this scale", reason)
        raise InvalidArgument(f"The claim `{claim.name}` cannot be tested: {wrong}") from wrong
    if not isinstance(evidence, Evidence):
        raise InvalidArgument(
            f"The test of the claim `{claim.name}` returned {type(evidence).__name__}, not `Evidence`."
        )
    return replace(evidence, verdict="undecided", reason=reason) if small else evidence
