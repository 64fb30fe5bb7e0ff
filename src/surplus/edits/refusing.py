"""Refusing: what about a layer makes an edit change the function, said by name."""

from collections.abc import Iterable

from surplus.base import InvalidArgument
from surplus.edits.verifying import NotEqual
from surplus.units import Group, Units


def check_uncoupled(units: Units, names: Iterable[str]) -> None:
    """Refuse layers whose units take part in the statistics of a normalisation."""
    for name in names:
        coupled = units[name].coupled
        if coupled is not None:
            raise InvalidArgument(
                f"The units of `{name}` share statistics, so that new ones change the function even if they are silent:"
                f" {coupled}. Pass `verify=False` to add them all the same."
            )


def check_not_computed(units: Units, names: Iterable[str], apart: NotEqual) -> None:
    """Say that weights which are computed from all others, as by spectral norm, are why outputs are apart.

    Raises:
        InvalidArgument: that is so.
    """
    for name in names:
        for slot in units[name].slots:
            if ".parametrizations." in f".{slot.tensor}" or slot.tensor.endswith("_orig"):
                raise InvalidArgument(
                    f"`{slot.tensor}`, which has units of `{name}`, is what a parametrisation or a hook computes a"
                    " weight from, and with more units in it the weight of those that are there becomes another."
                    " Pass `verify=False` to edit all the same."
                ) from apart


def computed_and_read(group: Group) -> str | None:
    """Return the weight that both computes and reads the units of a group, as a tied one does, or None."""
    computing = {(slot.tensor, slot.axis) for slot in group.incoming}
    return next((s.tensor for s in group.outgoing if (s.tensor, s.axis) in computing), None)
