"""Varying: another example of the same shapes, for what has to hold on more inputs than one."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map


def varied(example: Any, scale: float = 1.0) -> Any:
    """Return an example with other numbers in its floating tensors; all else is the same.

    An example of a single input cannot tell what depends on the input from what does not.

    Args:
        example: The example.
        scale: How far off the other numbers are, in units of the mean size of those that are there, plus one.

    Example:
        >>> varied((torch.zeros(2), 3))[0].abs().min() > 0, varied((torch.zeros(2), 3))[1]
        (tensor(True), 3)
    """
    generator = torch.Generator().manual_seed(0)

    def other(each: Any) -> Any:
        plain = isinstance(each, Tensor) and each.layout == torch.strided
        if not plain or not each.is_floating_point() or each.is_meta:
            return each
        noise = torch.randn(each.shape, generator=generator, dtype=torch.float64).to(each)
        size = 1 + float(each.abs().mean()) if each.numel() else 1.0
        return each + scale * size * noise

    return tree_map(other, example)
