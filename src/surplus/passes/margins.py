"""Margins: by how much the right class wins on each example."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.passes.data import Data, batches
from surplus.units import evaluating, left_as_found


class Margins(NamedTuple):
    """What capacity measures ask of the data."""

    margins: Float[Tensor, " examples"]
    """The output of the right class less the largest other one."""
    mean_square: float
    """The mean squared Euclidean length of the inputs."""
    greatest: float
    """The largest absolute entry of any input."""


def margins(model: nn.Module, data: Data) -> Margins:
    """Run a classifier on data, in evaluation mode, and return the margin of every example.

    Raises:
        InvalidArgument: the data hold no examples, the targets are no labels, or the outputs no scores of classes.
    """
    found, squares, greatest, count = [], 0.0, 0.0, 0
    with torch.no_grad(), evaluating(model), left_as_found(model):
        for inputs, targets in batches(data, model):
            flat = inputs.double().flatten(1)
            squares += float(flat.square().sum())
            greatest = max(greatest, float(flat.abs().max()))
            count += len(flat)
            found.append(_margins(model(inputs), targets).double().cpu())
    return Margins(torch.cat(found), squares / count, greatest)


def _margins(outputs: object, targets: Tensor) -> Float[Tensor, " batch"]:
    if targets.dim() != 1 or targets.is_floating_point():
        raise InvalidArgument("the targets are not class labels")
    if not isinstance(outputs, Tensor):
        raise InvalidArgument(f"the outputs are a {type(outputs).__name__}, not a tensor")
    if outputs.dim() != 2 or outputs.shape[1] < 2:
        shape = tuple(outputs.shape)
        raise InvalidArgument(
            f"the outputs are of shape {shape}, not examples x two or more classes"
        )
    if len(outputs) != len(targets):
        raise InvalidArgument(
            f"the model returns {len(outputs)} rows of outputs for {len(targets)} examples"
        )
    if not 0 <= int(targets.min()) <= int(targets.max()) < outputs.shape[1]:
        raise InvalidArgument("there are labels for which the model has no output")
    own = outputs.gather(1, targets[:, None])
    others = outputs.scatter(1, targets[:, None], -torch.inf)
    return own[:, 0] - others.amax(1)
