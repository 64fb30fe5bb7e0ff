"""What is raised where a network's second derivatives cannot be had."""

from surplus.base import SurplusError


class NotTwiceDifferentiable(SurplusError):
    """A network with an operator that PyTorch does not differentiate twice; the message names it."""
