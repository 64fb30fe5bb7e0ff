"""The forward pass of a chain for all replicas at once.

Features are held as one tensor, [replicas, features, batch]: with the batch as the last axis, the products of all
replicas are one batched matrix product on contiguous rows. Images are held replica by replica, channels last, since
on a CPU no way of batching convolutions over replicas is faster than running them one after the other.
"""

from collections.abc import Callable, Mapping
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.nets import Erf
from surplus.units import chain_of

ELEMENTWISE = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Softplus,
    nn.Softsign,
    nn.Sigmoid,
    nn.LogSigmoid,
    nn.Tanh,
    nn.Hardtanh,
    nn.Hardswish,
    nn.Hardsigmoid,
    Erf,
)
POOLING = (
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d,
)
Noise = Callable[[str, int, Tensor], Tensor]
"""Draws uniform numbers for a dropout layer: (name, replica, values of one replica) -> as many numbers."""
Images = list[Tensor]
Value = Tensor | Images


@final
class Forward:
    """Runs a chain with stacked parameters; in training mode it updates the stacked running statistics in place.

    Args:
        model: The chain.
        multiple: What the feature axes of dense layers are padded to; see `Layout`.

    Raises:
        InvalidArgument: the network is not a chain, or holds a layer that has no batched form here.
    """

    def __init__(self, model: nn.Module, multiple: int = 1) -> None:
        self._layers = chain_of(model)
        self._multiple = multiple
        for name, module in self._layers:
            if type(module) not in RULES:
                raise InvalidArgument(
                    f"Layer `{name}` is a {type(module).__name__}, which the training engine for chains does not run."
                    f" It runs: {', '.join(sorted(kind.__name__ for kind in RULES))}."
                )
        parameters = [parameter for _, module in self._layers for parameter in module.parameters()]
        if len({id(parameter) for parameter in parameters}) < len(parameters):
            raise InvalidArgument(
                "The training engine for chains does not run networks whose layers share parameters."
            )
        self._silenced = self._unquiet()

    def _unquiet(self) -> dict[str, int]:
        """Return the activations that make something of the padding's zeros, with the number of true features."""
        found = {}
        features = 0
        for name, module in self._layers:
            if isinstance(module, nn.Linear):
                features = module.out_features
            elif isinstance(module, ELEMENTWISE) and features % self._multiple:
                if bool(module(torch.zeros(1))):
                    found[name] = features
        return found

    def __call__(
        self,
        inputs: Tensor,
        weights: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        noise: Noise | None = None,
    ) -> Tensor:
        """Return the outputs of every replica with their padding, [replicas, classes, batch].

        Args:
            inputs: A batch for each replica, [replicas, batch, ...].
            weights: The stacked parameters by name.
            buffers: The stacked buffers by name.
            noise: Draws the factors of a dropout layer; None means evaluation mode.
        """
        value: Value = self._received(inputs)
        for name, module in self._layers:
            own = {
                key: source[f"{name}.{key}"]
                for source in (weights, buffers)
                for key in STATE.get(type(module), ())
                if f"{name}.{key}" in source
            }
            if type(module) in (nn.Flatten, nn.Linear):
                value = self._features(value)
            value = RULES[type(module)](name, module, value, own, noise)
            if name in self._silenced and isinstance(value, Tensor):
                value = torch.cat(
                    [value[:, : self._silenced[name]], 0 * value[:, self._silenced[name] :]], dim=1
                )
        return self._features(value)

    def _received(self, inputs: Tensor) -> Value:
        if inputs.dim() == 5 and inputs.shape[2] > 1:
            return [images.contiguous(memory_format=torch.channels_last) for images in inputs]
        return list(inputs)

    def _features(self, value: Value) -> Tensor:
        """Return features stacked and padded, batch last; a fleet of one is not copied."""
        if isinstance(value, Tensor):
            return value
        flat = [images.flatten(1) for images in value]
        stacked = flat[0][None] if len(flat) == 1 else torch.stack(flat)
        missing = -stacked.shape[2] % self._multiple
        return (F.pad(stacked, (0, missing)) if missing else stacked).transpose(1, 2)


def _linear(
    name: str, module: nn.Module, value: Value, own: dict[str, Tensor], noise: Noise | None
) -> Value:
    assert isinstance(value, Tensor)
    if "bias" not in own:
        return torch.bmm(own["weight"], value)
    return torch.baddbmm(own["bias"][:, :, None], own["weight"], value)


def _conv(
    name: str, module: nn.Module, value: Value, own: dict[str, Tensor], noise: Noise | None
) -> Value:
    assert isinstance(module, nn.Conv2d)
    biases = own["bias"] if "bias" in own else [None] * len(value)
    return [
        module._conv_forward(images, weight, bias)
        for images, weight, bias in zip(value, own["weight"], biases, strict=True)
    ]


def _batch_norm(
    name: str, module: nn.Module, value: Value, own: dict[str, Tensor], noise: Noise | None
) -> Value:
    assert isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    if noise is not None and "num_batches_tracked" in own:
        own["num_batches_tracked"].add_(1)
    if isinstance(value, list):
        return [
            _normalised(module, images, own, place, noise) for place, images in enumerate(value)
        ]
    rows = [_normalised(module, each.T, own, place, noise).T for place, each in enumerate(value)]
    return torch.stack(rows)


def _normalised(
    module: nn.BatchNorm1d | nn.BatchNorm2d,
    rows: Tensor,
    own: dict[str, Tensor],
    place: int,
    noise: Noise | None,
) -> Tensor:
    state = {key: each[place] for key, each in own.items()}
    count = state.pop("num_batches_tracked", None)
    momentum = module.momentum
    if momentum is None:  # a plain average over all batches so far
        momentum = 0.0 if count is None else 1 / float(count)
    return F.batch_norm(
        rows,
        state.get("running_mean"),
        state.get("running_var"),
        state.get("weight"),
        state.get("bias"),
        noise is not None or "running_mean" not in state,
        momentum,
        module.eps,
    )


def _dropout(
    name: str, module: nn.Module, value: Value, own: dict[str, Tensor], noise: Noise | None
) -> Value:
    assert isinstance(module, nn.Dropout)
    if noise is None or module.p == 0:
        return value
    scale = 1 / (1 - module.p)
    dropped = [
        each * ((noise(name, place, each) >= module.p) * scale) for place, each in enumerate(value)
    ]
    return dropped if isinstance(value, list) else torch.stack(dropped)


def _each(
    name: str, module: nn.Module, value: Value, own: dict[str, Tensor], noise: Noise | None
) -> Value:
    """Apply a module that has no parameters: to all features at once, to images replica by replica."""
    if isinstance(value, list):
        return [module(images) for images in value]
    result: Tensor = value if isinstance(module, nn.Flatten) else module(value)
    return result


RULES: dict[type[nn.Module], Callable[..., Value]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Dropout: _dropout,
    **dict.fromkeys((*POOLING, *ELEMENTWISE, nn.Identity, nn.Flatten), _each),
}
NORM_STATE = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
STATE: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Linear: ("weight", "bias"),
    nn.Conv2d: ("weight", "bias"),
    nn.BatchNorm1d: NORM_STATE,
    nn.BatchNorm2d: NORM_STATE,
}
