"""Cross features: several networks see the same examples in one pass, and all their layers are compared."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.passes.data import Data, batches
from surplus.passes.statistics.cross_layer import CrossLayer
from surplus.passes.statistics.readout import runs_of
from surplus.passes.taps import by_example
from surplus.units import Tap, evaluating, left_as_found, tapping

CHUNK = 500


class Viewed(NamedTuple):
    """A network, and where it is looked at."""

    model: nn.Module
    taps: Mapping[str, Tap]
    """Where the units of layers are seen."""
    modules: tuple[str, ...] = ()
    """Names of modules whose outputs are features, too: with the axes (batch, features), (batch, features, ...) as
    convolutions return them, or (batch, positions, features) as of sequences."""


def cross_features(networks: Sequence[Viewed], data: Data, flattened: bool = False) -> CrossLayer:
    """Run networks over the same data, and sum up products of the features of all pairs of layers.

    Each batch is read once and runs through all of them, in evaluation mode, so data that come in another order each
    time do no harm.

    Args:
        networks: What of network i is looked at is called "i:name" in what is returned, taps before modules.
        data: The examples; their targets are not looked at.
        flattened: Whether every position of a unit is a feature; otherwise their mean is one.

    Raises:
        InvalidArgument: the data hold no examples, a model takes another path on them than on its example, or a module
            does not run once on each batch, or returns no features.
    """
    found = CrossLayer()
    for inputs, _ in batches(data, networks[0].model):
        for chunk in torch.split(inputs, CHUNK):
            features: dict[str, Tensor] = {}
            for place, viewed in enumerate(networks):
                for name, each in _outputs(viewed, chunk, flattened).items():
                    features[f"{place}:{name}"] = each
            found.add(features)
    return found


def _outputs(viewed: Viewed, inputs: Tensor, flattened: bool) -> dict[str, Tensor]:
    """Return the features of each layer of a network on a batch."""
    like = next(viewed.model.parameters())
    # Cloned, since the model may work in place.
    own = inputs.to(like.device, like.dtype if inputs.is_floating_point() else None).clone()
    found: dict[str, Tensor] = {}

    def keep(name: str, outputs: Float[Tensor, "batch units positions"]) -> None:
        if flattened:
            found[name] = outputs.flatten(1).to(torch.float64, copy=True)
        else:
            found[name] = outputs.mean(2, dtype=torch.float64)

    def receive(name: str, values: Tensor) -> None:
        keep(name, by_example(values, viewed.taps[name], len(own)))

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(evaluating(viewed.model))
        stack.enter_context(left_as_found(viewed.model))
        runs = {
            name: stack.enter_context(runs_of(viewed.model.get_submodule(name), copies=True))
            for name in viewed.modules
        }
        stack.enter_context(tapping(viewed.model, viewed.taps, receive))
        viewed.model(own)
    for name, each in runs.items():
        keep(name, _by_position(name, [output for _, output in each], len(own)))
    return {name: found[name] for name in (*viewed.taps, *viewed.modules)}


def _by_position(
    name: str, outputs: Sequence[Any], num_examples: int
) -> Float[Tensor, "batch units positions"]:
    """Return what a module returned on a batch, with its features along the second axis."""
    if len(outputs) != 1:
        raise InvalidArgument(
            f"`{name}` runs {len(outputs)} times on a batch; a module that is compared must run once."
        )
    (output,) = outputs
    if not isinstance(output, Tensor) or output.dim() < 2 or len(output) != num_examples:
        given = (
            f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        )
        raise InvalidArgument(
            f"`{name}` returns {given}; a module that is compared must return a tensor with one row per example."
        )
    if output.dim() == 3:
        return output.transpose(1, 2)
    return output.flatten(2) if output.dim() > 3 else output[:, :, None]
