"""In-place twins of the edits, for a model that goes on training with its optimiser."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from surplus.edits.adopting import Optimizers, adopt_, check_ready, enlist_, listed
from surplus.edits.cutting import cut
from surplus.edits.edits import Edits
from surplus.edits.factorising import factorise
from surplus.edits.growing import grow
from surplus.edits.inserting import insert
from surplus.edits.merging import merge
from surplus.edits.new_units import NewUnits
from surplus.edits.records import ActivationKind
from surplus.edits.resize import swap_
from surplus.edits.splitting import split
from surplus.edits.stand_ins import StandIns
from surplus.edits.surgery import module_named, replace_
from surplus.masks import Mask
from surplus.units import Units


def cut_(model: nn.Module, mask: Mask, optimizer: Optimizers = None, verify: bool = True) -> Edits:
    """In place: cut a model, and its optimiser's state with it, so that training goes on as if it had been masked.

    Every `Parameter` stays the object that it was, so parameter groups, schedulers, hooks, tied weights and averages
    that refer to it stay valid. All or nothing: the cut is made and verified on a copy first.

    Args:
        model: The model; it must not be wrapped for parallel training.
        mask: A mask over its units.
        optimizer: The optimisers that train it. State that is shaped like its parameter is cut along; of any other,
            the state of that parameter begins anew, and a warning says so.
        verify: Compare the outputs with those of the masked model.

    Raises:
        InvalidArgument: as `cut`; or there are gradients, or the model is wrapped.
        NotEqual: the outputs differ by more than rounding; nothing was changed.
    """
    check_ready(model, optimizer)
    return adopt_(model, *cut(model, mask, verify), optimizer)


def grow_(
    model: nn.Module,
    units: Units,
    new: Mapping[str, NewUnits],
    optimizer: Optimizers = None,
    verify: bool = True,
) -> Edits:
    """In place: `grow` a model, and its optimiser's state with it; every `Parameter` stays the object that it was.

    The moments of new weights begin at zero; what an optimiser divides by, as Adam's mean of squares, begins at the
    mean over the tensor, so that their first steps are no longer than those of the others.

    Args:
        model: The model; it must not be wrapped for parallel training.
        units: As for `grow`.
        new: As for `grow`.
        optimizer: The optimisers that train it.
        verify: As for `grow`.

    Raises:
        InvalidArgument: as `grow`; or there are gradients, or the model is wrapped.
        NotEqual: the outputs differ by more than rounding; nothing was changed.
    """
    check_ready(model, optimizer)
    return adopt_(model, *grow(model, units, new, verify), optimizer)


def merge_(
    model: nn.Module,
    mask: Mask,
    stand_ins: Mapping[str, StandIns] | None = None,
    optimizer: Optimizers = None,
    verify: bool = True,
) -> Edits:
    """In place: `merge` units, and cut the optimiser's state; every `Parameter` stays the object that it was.

    Arguments and errors as for `merge` and `cut_`.
    """
    check_ready(model, optimizer)
    return adopt_(model, *merge(model, mask, stand_ins, verify), optimizer)


def split_(
    model: nn.Module,
    units: Units,
    which: Mapping[str, Sequence[int]],
    noise: float = 0.0,
    seed: int = 0,
    optimizer: Optimizers = None,
    verify: bool = True,
) -> Edits:
    """In place: `split` units, and enlarge the optimiser's state as `grow_` does; every `Parameter` stays.

    Arguments and errors as for `split` and `grow_`.
    """
    check_ready(model, optimizer)
    return adopt_(model, *split(model, units, which, noise, seed, verify), optimizer)


def factorise_(
    model: nn.Module,
    units: Units,
    layer: str,
    rank: int | None = None,
    energy: float | None = None,
    optimizer: Optimizers = None,
    verify: bool = True,
) -> Edits:
    """In place: `factorise` a layer; its weight becomes that of the second of the two, and stays the object it was.

    The optimiser's state of the weight begins anew, and a warning says so; the first layer's weight joins its group.
    Arguments and errors as for `factorise` and `cut_`.
    """
    check_ready(model, optimizer)
    edited, edits = factorise(model, units, layer, rank, energy, verify)
    old: Any = module_named(model, layer)
    pair: Any = module_named(edited, layer)
    weight = old.get_parameter("weight")
    swap_(weight, pair.get_parameter("1.weight").detach())
    pair[1].weight, pair[1].bias = weight, old.bias
    replace_(model, layer, pair)
    for each in listed(optimizer):
        if each.state.pop(weight, None):
            warnings.warn(
                f"`{layer}.weight` is another matrix now; the optimiser's state of it begins anew.",
                stacklevel=2,
            )
        enlist_(each, model, [pair.get_parameter("0.weight")], weight)
    return edits


def insert_(
    model: nn.Module,
    units: Units,
    after: str,
    kernel_size: int = 1,
    activation: ActivationKind = "none",
    optimizer: Optimizers = None,
    verify: bool = True,
) -> Edits:
    """In place: `insert` a layer; every `Parameter` stays, and the new ones join the optimiser.

    They join the group that has the parameters of the module before, or the first one if it has none. Arguments and
    errors as for `insert` and `cut_`.
    """
    check_ready(model, optimizer)
    edited, edits = insert(model, units, after, kernel_size, activation, verify)
    old = module_named(model, after)
    new: Any = module_named(edited, after)
    new[0] = old
    replace_(model, after, new)
    near = next(old.parameters(), None)
    for each in listed(optimizer):
        enlist_(each, model, list(new[1].parameters()), near)
    return edits
