"""`Units`: all groups of one model, as they were found on one example."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from surplus.base import InvalidArgument, Table, unknown_name
from surplus.units.flow import Size, Statistic
from surplus.units.group import Group, Slot
from surplus.units.numbers import Numbers

Weights = nn.Module | Mapping[str, Tensor]


@final
@dataclass(frozen=True, eq=False)
class Units:
    """The removable things of one model, by layer and index. Prints as a readable table."""

    model: nn.Module
    """The model on which the units were found."""
    example: Any
    """The inputs on which the model was run: a tensor, a tuple of arguments, or a dictionary of keyword arguments."""
    groups: dict[str, Group]
    statistics: tuple[Statistic, ...] = ()
    """The operators of that run that compute statistics over units, as normalisations do."""
    sizes: tuple[Size, ...] = ()
    """The integers of the user's modules that count units."""
    numbers: tuple[Numbers, ...] = ()
    """The tensors of the model that number units, as permutations do."""
    shapes: dict[str, torch.Size] = field(init=False)
    """The shapes of the model's tensors when the units were found; cutting in place changes them."""

    def __post_init__(self) -> None:
        shapes = {name: tensor.shape for name, tensor in tensors_of(self.model).items()}
        object.__setattr__(self, "shapes", shapes)

    def __getitem__(self, name: str) -> Group:
        if name not in self.groups:
            raise unknown_name("layer", name, self.groups)
        return self.groups[name]

    def __iter__(self) -> Iterator[Group]:
        return iter(self.groups.values())

    def __len__(self) -> int:
        return len(self.groups)

    def removable(self) -> list[Group]:
        """Return the groups whose units can be removed."""
        return [group for group in self if group.protected is None]

    def names(self, asked: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return the names of the groups asked for, or, if none are, of all whose units can be removed.

        Raises: as `chosen`.
        """
        if asked:
            return tuple(self.chosen(name).name for name in asked)
        return tuple(group.name for group in self.removable())

    def check(self, model: nn.Module) -> None:
        """Refuse a model of another shape than the one on which the units were found.

        Raises:
            InvalidArgument: a tensor that holds units is missing or of another shape.
        """
        found = tensors_of(model)
        for name in {slot.tensor for group in self for slot in group.slots}:
            if name not in found or found[name].shape != self.shapes[name]:
                shape = tuple(found[name].shape) if name in found else None
                raise InvalidArgument(
                    f"The units were found on another model: there, `{name}` has shape {tuple(self.shapes[name])};"
                    f" here {'there is none' if shape is None else f'it has {shape}'}."
                )

    def chosen(self, name: str) -> Group:
        """Return a group whose units can be removed.

        Raises:
            UnknownName: there is no layer of that name.
            InvalidArgument: its units cannot be removed; the error says why.
        """
        group = self[name]
        if group.protected is not None:
            raise InvalidArgument(
                f"The units of `{name}` cannot be removed: {group.protected}."
                f" Layers whose units can: {', '.join(each.name for each in self.removable()) or 'none'}."
            )
        return group

    def weight_vectors(self, name: str, of: Weights | None = None) -> Float[Tensor, "units fan_in"]:
        """Return each unit's incoming weights, flattened.

        Args:
            name: The layer.
            of: A model of the same shape, or its state dict; None takes the model on which the units were found.
        """
        return self._vectors(name, self[name].incoming, of)

    def outgoing(self, name: str, of: Weights | None = None) -> Float[Tensor, "units fan_out"]:
        """Return each unit's outgoing weights, flattened; arguments as for `weight_vectors`."""
        return self._vectors(name, self[name].outgoing, of)

    def carried(self, name: str, of: Weights | None = None) -> Float[Tensor, "units carried"]:
        """Return what belongs to each unit besides, flattened: biases, scales, shifts, running statistics.

        Arguments as for `weight_vectors`.
        """
        return self._vectors(name, self[name].carried, of)

    def table(self) -> Table:
        """Return one row per group: its kind, its size, where its weights lie, why it is protected."""
        return Table.from_rows(
            [
                {
                    "layer": group.name,
                    "kind": group.kind,
                    "units": group.size,
                    "incoming": ", ".join(slot.tensor for slot in group.incoming),
                    "outgoing": ", ".join(slot.tensor for slot in group.outgoing),
                    "removable": "yes" if group.protected is None else f"no: {group.protected}",
                }
                for group in self
            ]
        )

    def tied(self, name: str) -> Table:
        """Return what goes with each unit of a group: where it is computed, what belongs to it, and where it is read.

        One row per tensor and axis, with how many positions along that axis a unit owns.

        Raises:
            UnknownName: there is no layer of that name.

        Example:
            >>> from surplus.units import find_units
            >>> net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(12, 2))
            >>> print(find_units(net, torch.zeros(1, 1, 4, 4)).tied("0"))
            tensor    axis  role      positions of a unit
            0.weight     0  computes                    1
            0.bias       0  carries                     1
            2.weight     1  reads                       4
        """
        group = self[name]
        roles = {"computes": group.incoming, "carries": group.carried, "reads": group.outgoing}
        return Table.from_rows(
            [
                {
                    "tensor": slot.tensor,
                    "axis": slot.axis,
                    "role": role,
                    "positions of a unit": slot.index.shape[1],
                }
                for role, slots in roles.items()
                for slot in slots
            ]
        )

    def __str__(self) -> str:
        return str(self.table())

    def _vectors(
        self, name: str, slots: tuple[Slot, ...], of: Weights | None
    ) -> Float[Tensor, "units slice"]:
        source = self.model if of is None else of
        tensors = tensors_of(source) if isinstance(source, nn.Module) else source
        if not slots:
            return torch.empty(self[name].size, 0)
        return torch.cat([slot.vectors(used_tensor(tensors, slot.tensor)) for slot in slots], dim=1)


def used_tensor(tensors: Mapping[str, Tensor], name: str) -> Float[Tensor, "..."]:
    """Return a tensor as the network uses it: torch's own pruning keeps a weight and its mask apart."""
    tensor = tensors[name].detach()
    mask = tensors.get(f"{name.removesuffix('_orig')}_mask") if name.endswith("_orig") else None
    return tensor if mask is None else tensor * mask


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return all parameters and buffers by name: a tensor that has two names twice, and buffers that are not saved."""
    return {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
