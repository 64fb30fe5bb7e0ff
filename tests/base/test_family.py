from abc import abstractmethod
from dataclasses import dataclass

import pytest

from surplus.base import Family, InvalidArgument, UnknownName, lookup, members, register


class Colour(Family):
    __slots__ = ()

    @abstractmethod
    def hue(self) -> int: ...


@register("red")
@dataclass(frozen=True, kw_only=True, slots=True)
class Red(Colour):
    def hue(self) -> int:
        return 0


def test_a_member_is_found_by_its_name():
    assert lookup(Colour, "red") is Red
    assert members(Colour) == {"red": Red}
    assert Red.kind == "red"


def test_a_wrong_name_gets_a_suggestion_and_the_list():
    with pytest.raises(UnknownName) as wrong:
        lookup(Colour, "rad")
    assert str(wrong.value) == "There is no colour called `rad`. Did you mean `red`? Known: red."


def test_two_members_cannot_share_a_name():
    with pytest.raises(
        InvalidArgument,
        match=r"^`red` already names \S+\.Red; choose another name for \S+\.Scarlet\.$",
    ):

        @register("red")
        class Scarlet(Colour):
            def hue(self) -> int:
                return 1

    assert lookup(Colour, "red") is Red


def test_a_member_is_final():
    with pytest.raises(
        TypeError, match=r"^`Red` is final\. A variant of it is a new field, or a file"
    ):

        class Crimson(Red):
            pass


def test_families_do_not_share_registers():
    class Shape(Family):
        __slots__ = ()

    assert members(Shape) == {}


def test_a_member_that_a_room_does_not_have_is_answered_with_those_it_has():
    from surplus.training import moments

    with pytest.raises(AttributeError) as wrong:
        moments.EachEpok  # noqa: B018
    assert str(wrong.value) == (
        "surplus.training.moments has no `EachEpok`; it has AtSteps, EachEpoch, EverySteps, LogSpaced."
    )
