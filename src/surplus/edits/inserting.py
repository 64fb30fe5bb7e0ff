"""`insert`: a new layer inside a path, which at first changes nothing."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Edits
from surplus.edits.records import ActivationKind, Insertion, LayerKind
from surplus.edits.surgery import check_only_called, inserted, module_named, replace_
from surplus.edits.varying import varied
from surplus.edits.verifying import NotEqual, difference, example_for
from surplus.units import Units, copied, evaluating, left_as_found

LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.Embedding)
"""Modules whose features lie along the last axis, however many axes there are."""


def insert(
    model: nn.Module,
    units: Units,
    after: str,
    kernel_size: int = 1,
    activation: ActivationKind = "none",
    verify: bool = True,
) -> tuple[nn.Module, Edits]:
    """Return a model with a new layer behind one of its modules, and the record of the edit.

    The new layer has as many units as it reads and begins as the identity, so that the model computes what it did. A
    module that gives maps is followed by a convolution, any other by a linear layer.

    Args:
        model: The model.
        units: Its units, with the example on which it is run.
        after: The module whose output the new layer reads.
        kernel_size: That of a convolution, odd.
        activation: What follows the new layer: "relu" changes nothing behind a module that gives nothing negative.
        verify: Compare the outputs with those of the model before.

    Raises:
        InvalidArgument: the module does not run on the example or gives no single tensor, the kernel has no middle,
            the activation function changes what the module gives, or something reads its attributes.

    Reference: chen2016net2net, Section 2.4.

    Example:
        >>> from surplus.units import find_units
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> deeper, edits = insert(net, find_units(net, torch.zeros(1, 4)), "1", activation="relu")
        >>> deeper[1]
        Sequential(
          (0): ReLU()
          (1): Linear(in_features=3, out_features=3, bias=True)
          (2): ReLU()
        )
    """
    step, given = _checked(model, units, after, kernel_size, activation)
    deeper = copied(model)
    replace_(deeper, after, inserted(module_named(deeper, after), step, given))
    if verify:
        try:
            apart = difference(model, deeper, model, units.example, ("original", "deeper"))
        except NotEqual as failed:
            check_only_called(after, failed)
            raise
        step = replace(step, difference=apart)
    return deeper, Edits((step,))


def _checked(
    model: nn.Module, units: Units, after: str, kernel_size: int, activation: ActivationKind
) -> tuple[Insertion, Tensor]:
    """Return what to insert, and what it will read on the example."""
    module = module_named(model, after)
    everything = _given(model, units.example, after)
    given = everything[0]
    layer = _kind(model, after, given)
    axis = -1 if layer == "linear" else 1
    widths = sorted({each.shape[axis] for each in everything})
    if len(widths) > 1:
        raise InvalidArgument(
            f"`{after}` runs {len(everything)} times and gives {' and '.join(map(str, widths))} units, which one layer"
            " cannot all read: use a module of its own in each place."
        )
    if kernel_size % 2 == 0 or kernel_size < 1 or (layer == "linear" and kernel_size > 1):
        raise InvalidArgument(
            f"`kernel_size` is {kernel_size}; that of a convolution is odd, so that it has a middle, and that of a"
            f" linear layer 1. `{after}` is followed by a {layer} layer."
        )
    if activation == "relu":
        everything += _given_on_another(model, units.example, after)
        least = min(float(each.min()) for each in everything)
        if least < 0:
            raise InvalidArgument(
                f"With `activation='relu'` a new layer has to follow a module that gives nothing negative; `{after}`"
                f" ({type(module).__name__}) gives {least:.3g}."
            )
    step = Insertion(
        after=after, layer=layer, width=widths[0], kernel_size=kernel_size, activation=activation
    )
    return step, given


def _given_on_another(model: nn.Module, example: Any, name: str) -> list[Tensor]:
    """Return what a module gives on other examples, as far as the model runs on them.

    On one example alone, few values may be seen, and none of them negative.
    """
    found = []
    for scale in (1.0, -1.0, 100.0, -100.0):
        try:
            found += _given(model, varied(example, scale), name)
        except Exception:  # not every model runs on any numbers
            continue
    return [each for each in found if bool(each.isfinite().all())]


def _given(model: nn.Module, example: Any, name: str) -> list[Tensor]:
    """Return what a module gives on an example, each time that it runs."""
    seen: list[Any] = []
    module = module_named(model, name)
    handle = module.register_forward_hook(lambda _, inputs, output: seen.append(output))
    positional, named = example_for(model, example)
    try:
        with torch.no_grad(), evaluating(model), left_as_found(model):
            model(*positional, **named)
    except (RuntimeError, ValueError, TypeError) as failed:
        raise InvalidArgument(
            f"The model does not run on the example of these units: {failed}. Pass the units that were found on it."
        ) from failed
    finally:
        handle.remove()
    tensors = [each for each in seen if isinstance(each, Tensor) and each.dim() > 1]
    if not seen or len(tensors) < len(seen):
        what = "does not run on the example" if not seen else "gives no single tensor"
        raise InvalidArgument(f"`{name}` {what}, so that no layer can read it.")
    return tensors


def _kind(model: nn.Module, name: str, given: Tensor) -> LayerKind:
    """Return what kind of layer reads what a module gives: maps, or features along the last axis."""
    kinds: dict[int, LayerKind] = {3: "conv1d", 4: "conv2d", 5: "conv3d"}
    module = module_named(model, name)
    if given.dim() not in kinds or isinstance(module, LAST):
        return "linear"
    spatial = any(type(each).__name__.endswith("1d") for each in module.modules())
    return "linear" if given.dim() == 3 and not spatial else kinds[given.dim()]
