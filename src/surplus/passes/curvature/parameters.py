"""The trainable parameters of a model as one long vector."""

from collections.abc import Mapping
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.units import layer_of


@final
class FlatParameters:
    """How the trainable parameters lie in one vector: in the model's order, tied ones once.

    Vectors have at least single precision, whatever the parameters have.
    """

    def __init__(self, model: nn.Module) -> None:
        self.tensors: dict[str, Tensor] = {
            name: each.detach() for name, each in model.named_parameters() if each.requires_grad
        }
        if not self.tensors:
            raise InvalidArgument(
                "The model has no parameter that can be trained; curvature is taken over those with `requires_grad`."
            )
        self.dtype = torch.float32
        self.device = next(iter(self.tensors.values())).device
        self.slices: dict[str, slice] = {}
        start = 0
        for name, each in self.tensors.items():
            if each.is_complex() or each.device != self.device:
                raise InvalidArgument(
                    f"`{name}` is a {each.dtype} tensor on {each.device}; curvature needs real parameters that are all"
                    f" on one device ({self.device})."
                )
            self.dtype = torch.promote_types(self.dtype, each.dtype)
            self.slices[name] = slice(start, start + each.numel())
            start += each.numel()
        self.size = start

    @property
    def layers(self) -> dict[str, tuple[slice, ...]]:
        """Where each layer's parameters lie; a parameter that belongs to the model itself stands for itself."""
        found: dict[str, tuple[slice, ...]] = {}
        for name, part in self.slices.items():
            layer = layer_of(name)
            found[layer] = (*found.get(layer, ()), part)
        return found

    def split(self, vectors: Float[Tensor, "vectors params"]) -> dict[str, Tensor]:
        """Return the parts [vectors, *shape] of a block of vectors, in the parameters' types."""
        return {
            name: vectors[:, self.slices[name]].reshape(-1, *each.shape).to(each.dtype)
            for name, each in self.tensors.items()
        }

    def join(self, parts: Mapping[str, Tensor]) -> Float[Tensor, "vectors params"]:
        """Return parts [vectors, *shape] as a block of vectors."""
        rows = [parts[name].to(self.dtype).reshape(len(parts[name]), -1) for name in self.slices]
        return torch.cat(rows, 1)
