"""Cross features: several networks see the same examples in one pass, and all their layers are compared."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from surplus.passes.cross_layer import CrossLayer
from surplus.passes.data import Data, batches
from surplus.passes.taps import by_example
from surplus.units import Tap, evaluating, left_as_found, tapping

CHUNK = 500


def cross_features(
    networks: Sequence[tuple[nn.Module, Mapping[str, Tap]]], data: Data, flattened: bool = False
) -> CrossLayer:
    """Run networks over the same data, and sum up products of the features of all pairs of layers.

    Each batch is read once and runs through all of them, so data that come in another order each time do no harm.

    Args:
        networks: Each model, with where the units of its layers are seen, in evaluation mode. The layers of model i are
            called "i:name" in what is returned.
        data: The examples; their targets are not looked at.
        flattened: Whether every position of a unit is a feature; otherwise their mean is one.

    Raises:
        InvalidArgument: the data hold no examples, or a model takes another path on them than on its example.
    """
    found = CrossLayer()
    for inputs, _ in batches(data, networks[0][0]):
        for chunk in torch.split(inputs, CHUNK):
            features: dict[str, Tensor] = {}
            for place, (model, taps) in enumerate(networks):
                for name, each in _features(model, taps, chunk, flattened).items():
                    features[f"{place}:{name}"] = each
            found.add(features)
    return found


def _features(
    model: nn.Module, taps: Mapping[str, Tap], inputs: Tensor, flattened: bool
) -> dict[str, Tensor]:
    """Return the features of each layer of a model on a batch."""
    like = next(model.parameters())
    # Cloned, since the model may work in place.
    own = inputs.to(like.device, like.dtype if inputs.is_floating_point() else None).clone()
    found: dict[str, Tensor] = {}

    def receive(name: str, values: Tensor) -> None:
        outputs = by_example(values, taps[name], len(own))
        if flattened:
            found[name] = outputs.flatten(1).to(torch.float64, copy=True)
        else:
            found[name] = outputs.mean(2, dtype=torch.float64)

    with (
        torch.no_grad(),
        evaluating(model),
        left_as_found(model),
        tapping(model, taps, receive),
    ):
        model(own)
    return {name: found[name] for name in taps}
