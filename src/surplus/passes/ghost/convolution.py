"""What convolutions multiply: patches of their inputs, position by position."""

from dataclasses import dataclass
from math import prod
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

from surplus.passes.ghost.layout import Layout


@final
@dataclass(frozen=True, slots=True)
class Windows:
    """How a convolution slides over its input."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @staticmethod
    def of(node: Any, kernel: tuple[int, ...]) -> "Windows":
        """Read them off the node of a convolution."""
        axes = range(len(kernel))
        stride, padding, dilation = (
            tuple(int(values[axis if len(values) > 1 else 0]) for axis in axes)
            for values in (node._saved_stride, node._saved_padding, node._saved_dilation)
        )
        return Windows(kernel, stride, padding, dilation, int(node._saved_groups))

    def over(self, images: Tensor, positions: tuple[int, ...]) -> Tensor:
        """Return a view of all patches: [images, channels, *kernel, *positions]."""
        padding = [each for size in reversed(self.padding) for each in (size, size)]
        padded = (F.pad(images, padding) if any(padding) else images).contiguous()
        strides = padded.stride()
        within = [step * size for step, size in zip(strides[2:], self.dilation, strict=True)]
        between = [step * size for step, size in zip(strides[2:], self.stride, strict=True)]
        return padded.as_strided(
            (*images.shape[:2], *self.kernel, *positions), (*strides[:2], *within, *between)
        )

    def outputs(self, images: Tensor, W: Tensor) -> Tensor:
        """Convolve images with a weight [groups, units, fan_in]."""
        weight = W.reshape(-1, images.shape[1] // self.groups, *self.kernel)
        zeros = [0] * len(self.kernel)
        return torch.ops.aten.convolution(
            images,
            weight,
            None,
            self.stride,
            self.padding,
            self.dilation,
            False,
            zeros,
            self.groups,
        )

    def gradients(self, images: Tensor, deltas: Tensor) -> Tensor:
        """Return the gradient of the weight for each image, [images * units, channels / groups, *kernel].

        Images become groups of channels of a single one: the kernels for that do not copy patches.
        """
        count, channels = images.shape[:2]
        shape = (count * deltas.shape[1], channels // self.groups, *self.kernel)
        return torch.ops.aten.convolution_backward(
            deltas.reshape(1, -1, *deltas.shape[2:]),
            images.reshape(1, -1, *images.shape[2:]),
            images.new_empty(1).expand(shape),
            None,
            self.stride,
            self.padding,
            self.dilation,
            False,
            [0] * len(self.kernel),
            count * self.groups,
            [False, True, False],
        )[1]


@final
class Convolved:
    """Images [images, channels, *size] and the gradients at the outputs [images, units, *positions]."""

    def __init__(
        self, images: Tensor, deltas: Tensor, windows: Windows, layout: Layout, examples: int
    ) -> None:
        self._images = layout.split(images, examples, tuple(images.shape[1:]))
        self._deltas = layout.split(deltas, examples, tuple(deltas.shape[1:]))
        self._windows, self.num_examples, self.groups = windows, examples, windows.groups
        self.unfolds = prod(windows.kernel) > 1 and images.device.type == "cpu"
        self._frames = self._images.shape[0] * self._images.shape[2]
        self.num_positions = self._frames * prod(deltas.shape[2:])
        self.fan_in = images.shape[1] // windows.groups * prod(windows.kernel)
        self.units = deltas.shape[1] // windows.groups

    @property
    def held(self) -> int:
        """How many values per example it keeps."""
        return self._frames * (prod(self._images.shape[3:]) + prod(self._deltas.shape[3:]))

    def inputs(self, examples: slice) -> Tensor:
        """Return the patches: [examples, groups, positions, fan_in]."""
        images, places = _flat(self._images[:, examples]), tuple(self._deltas.shape[4:])
        patches = self._windows.over(images, places)
        return self._by_example(patches.reshape(len(images), self.groups, self.fan_in, -1))

    def deltas(self, examples: slice, start: int = 0, stop: int | None = None) -> Tensor:
        """Return [examples, groups, positions, units], or some of the units."""
        found = _flat(self._deltas[:, examples])
        found = found.reshape(len(found), self.groups, self.units, -1)
        return self._by_example(found[:, :, start:stop])

    def products(self, examples: slice, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the sums over positions: [examples, groups, units, fan_in], or some of the units."""
        if not self.unfolds:
            return self.deltas(examples, start, stop).mT @ self.inputs(examples)
        images, deltas = _flat(self._images[:, examples]), _flat(self._deltas[:, examples])
        if (start, stop) != (0, None):
            by_group = deltas.reshape(-1, self.groups, self.units, *deltas.shape[2:])
            deltas = by_group[:, :, start:stop].flatten(1, 2)
        found = self._windows.gradients(images, deltas)
        outer, inner = self._images.shape[0], self._images.shape[2]
        count = len(images) // (outer * inner)
        found = found.reshape(outer, count, inner, self.groups, -1, self.fan_in)
        return found[0, :, 0] if self._frames == 1 else found.sum((0, 2))

    def dots(self, W: Tensor, examples: slice) -> Tensor:
        """Return the scalar product of each gradient with [groups, units, fan_in]: a convolution instead of many."""
        images, deltas = _flat(self._images[:, examples]), _flat(self._deltas[:, examples])
        found = (self._windows.outputs(images, W.to(images)) * deltas).flatten(1)
        outer, inner = self._images.shape[0], self._images.shape[2]
        return found.sum(1, dtype=torch.float64).reshape(outer, -1, inner).sum((0, 2))

    def rows(self, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return inputs and deltas of the first group at some positions, or all: [batch, positions, ...]."""
        everything = slice(0, self.num_examples)
        if positions is None or self._frames > 1:
            chosen = slice(None) if positions is None else positions.to(self._images.device)
            return self.inputs(everything)[:, 0, chosen], self.deltas(everything)[:, 0, chosen]
        images, deltas = self._images[0, :, 0], self._deltas[0, :, 0]
        places = torch.unravel_index(positions.to(images.device), deltas.shape[2:])
        where: Any = (..., *places)
        # A view until here: only the chosen patches are copied.
        patches = self._windows.over(images, tuple(deltas.shape[2:]))[where]
        return patches.flatten(1, -2).mT, deltas[where].mT

    def _by_example(self, values: Tensor) -> Tensor:
        """Return [images, groups, values, positions] as [examples, groups, positions, values]."""
        if self._frames == 1:
            return values.mT
        outer, inner = self._images.shape[0], self._images.shape[2]
        values = values.reshape(outer, -1, inner, *values.shape[1:]).permute(1, 3, 0, 2, 5, 4)
        return values.reshape(*values.shape[:2], -1, values.shape[-1])


def _flat(images: Tensor) -> Tensor:
    """Return [outer, examples, inner, ...] as [images, ...]."""
    return images.reshape(-1, *images.shape[3:])
