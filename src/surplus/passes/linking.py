"""Linking: which things hang together, if some pairs of them are near."""

import torch
from jaxtyping import Bool
from torch import Tensor


def linked(near: Bool[Tensor, "units units"]) -> list[list[int]]:
    """Return the connected components of two members or more, the largest first.

    Two members of a component need not be near each other: a chain of near pairs is enough.

    Args:
        near: Which pairs are near; symmetric, and the diagonal does not matter.

    Example:
        >>> linked(torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]]).bool())
        [[0, 2]]
    """
    seen = torch.zeros(len(near), dtype=torch.bool)
    found = []
    for start in range(len(near)):
        if seen[start]:
            continue
        reached = torch.zeros_like(seen)
        front = torch.tensor([start])
        while len(front):
            reached[front] = True
            front = (near[front].any(0) & ~reached).nonzero()[:, 0]
        seen |= reached
        found.append(reached.nonzero()[:, 0].tolist())
    return sorted((each for each in found if len(each) > 1), key=lambda each: (-len(each), each[0]))
