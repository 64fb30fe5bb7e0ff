"""Where each parameter sits in a replica's row of the flat buffer, and how it is padded."""

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.units import chain_of

ALIGNED = 64  # entries: whole vector registers for every type
BLOCK = 32  # entries that an element-wise kernel treats at once
QUAD = 4  # the least multiple of a feature axis


class Place(NamedTuple):
    """One parameter in the row."""

    name: str
    shape: tuple[int, ...]
    padded: tuple[int, ...]
    offset: int


@final
class Layout:
    """Maps a network's parameters to one row of numbers per replica.

    A member of a fleet must compute, bit for bit, what it would compute alone. Kernels choose their instructions by the
    alignment and length of what they are given, so both must not depend on the number of replicas: every parameter
    begins at a multiple of 64 entries, and the feature axes of dense layers are padded with zeros to multiples that
    make each replica's slice of every activation and gradient a whole number of blocks. The zeros stay zero.

    Args:
        parameters: The parameters by name.
        dense: The layers whose axes are padded.
        multiple: What they are padded to.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], dense: Collection[str] = (), multiple: int = 1
    ) -> None:
        self.multiple = multiple
        self._dense = dense
        self.places: list[Place] = []
        offset = 0
        for name, parameter in parameters.items():
            padded = self._padded(name, tuple(parameter.shape))
            self.places.append(Place(name, tuple(parameter.shape), padded, offset))
            offset += up(math.prod(padded), ALIGNED)
        self.width = offset

    def rows(
        self, count: int, device: torch.device, fill: float = 0.0
    ) -> Float[Tensor, "replicas params"]:
        """Return fresh rows for `count` replicas."""
        return torch.full((count, self.width), fill, device=device)

    def views(
        self, rows: Float[Tensor, "replicas params"]
    ) -> dict[str, Float[Tensor, "replicas ..."]]:
        """Return each parameter of all replicas, padding included, as a view of the rows."""
        return {
            place.name: rows[:, place.offset : place.offset + math.prod(place.padded)].view(
                len(rows), *place.padded
            )
            for place in self.places
        }

    def pad(self, name: str, tensor: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*padded"]:
        """Return one replica's parameter or buffer with its padding."""
        padded = self._padded(name, tuple(tensor.shape))
        sizes = [
            size
            for short, long in zip(tensor.shape[::-1], padded[::-1], strict=True)
            for size in (0, long - short)
        ]
        return F.pad(tensor, sizes) if any(sizes) else tensor

    def _padded(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        if name.rpartition(".")[0] not in self._dense:
            return shape
        return tuple(up(size, self.multiple) for size in shape)


def padded_layout(model: nn.Module, sizes: Collection[int]) -> Layout:
    """Return the layout of a chain whose replicas run as one, dense layers padded to suit the sizes of batches."""
    multiple = max(QUAD, *(BLOCK // math.gcd(BLOCK, size) for size in sizes))
    kinds = nn.Linear | nn.BatchNorm1d
    dense = {name for name, module in chain_of(model) if isinstance(module, kinds)}
    return Layout(trained(model), dense, multiple)


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that training changes, by name: those that require a gradient.

    Raises:
        InvalidArgument: there is none.
    """
    found = {name: each for name, each in model.named_parameters() if each.requires_grad}
    if not found:
        raise InvalidArgument(
            "The network has no parameter that requires a gradient: nothing to train."
        )
    return found


def up(size: int, multiple: int) -> int:
    """Return the least multiple that is not smaller than a size.

    Example:
        >>> up(10, 4), up(12, 4)
        (12, 12)
    """
    return -(-size // multiple) * multiple


def crop(
    tensor: Shaped[Tensor, "*replicas_and_padded"], shape: tuple[int, ...]
) -> Shaped[Tensor, "*replicas_and_shape"]:
    """Return the view of a padded tensor, of one replica or of all, without its padding."""
    for axis, size in enumerate(shape, start=tensor.dim() - len(shape)):
        tensor = tensor.narrow(axis, 0, size)
    return tensor
