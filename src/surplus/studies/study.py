"""The family of studies: a question, the runs that could answer it, and the claims that are tested on them."""

import inspect
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

from surplus.base import Family, InvalidArgument, label
from surplus.studies.arm import Arm
from surplus.studies.claim import SCALES, Claim, Scale
from surplus.studies.evidence import Evidence
from surplus.studies.found import Found

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


class Study(Family):
    """A question. A member is a frozen dataclass: its fields are the scale, its methods the protocol.

    Its docstring says what is done, as the methods section of a paper would; methods marked with `claim` test
    the claims.
    """

    __slots__ = ()

    question: ClassVar[str]
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
    def at_scale(cls, scale: Scale) -> Self:
        """Return the study at one of its scales."""
        changes = {"smoke": cls.smoke, "default": {}, "full": cls.full}[scale]
        return replace(cls(), **changes)  # type: ignore[type-var]

    @final
    def with_seeds(self, seeds: int) -> Self:
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
        return tuple(each.claim for each in vars(cls).values() if hasattr(each, "claim"))

    @final
    def evidence(self, found: Found) -> dict[Claim, Evidence]:
        """Test every claim on what was found."""
        return {each: _tested(self, each, found) for each in self.claims()}

    @final
    def settings(self) -> dict[str, str]:
        """Return the fields by name, in words."""
        return {each.name: _said(getattr(self, each.name)) for each in fields(self)}  # type: ignore[arg-type]

    @final
    @classmethod
    def protocol(cls) -> str:
        """Return what is done: the docstring, without indentation."""
        return inspect.cleandoc(cls.__doc__ or "")


def _said(value: Any) -> str:
    if isinstance(value, Family):
        return label(value)
    if isinstance(value, tuple | list):
        return ", ".join(map(_said, value))
    return str(value)


def _tested(study: Study, claim: Claim, found: Found) -> Evidence:
    test = getattr(study, claim.name.replace("-", "_"))
    evidence: Evidence = test(found)
    if SCALES.index(found.scale) < SCALES.index(claim.needs):
        return replace(evidence, verdict="undecided", reason=f"smaller scale: {found.scale}")
    return evidence
