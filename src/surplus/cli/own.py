"""`surplus prune module:factory`: a smaller model from one that is not Surplus's."""

import importlib
import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, final

import torch
import tyro
from torch import nn

from surplus.base import InvalidArgument, Table, UnknownName, check_sparsity
from surplus.cli.options import member, say
from surplus.cli.parsing import parse
from surplus.cli.tables import comparison_table
from surplus.edits import cut, load, masked, plan, save
from surplus.masks import Mask, Scores, keep
from surplus.passes import Quantity, compare, keep_to
from surplus.scores import Score, score
from surplus.store.files import check_writable
from surplus.units import find_units

ADDRESS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
SHAPE = re.compile(r"\d+(x\d+)*")
TARGET = re.compile(r"(sparsity|parameters|macs|latency)=(.+)")


@final
@dataclass
class Arguments:
    """Cut units out of a model of your own, and write what is left to a bundle.

    MODEL is `module:factory`, where the factory returns an `nn.Module`; modules are looked for in this folder first.
    What goes and what stays is printed, then the dense, the masked and the cut model side by side. Load the bundle into
    a fresh model with `surplus.load(path, into=factory())`.
    """

    model: tyro.conf.Positional[str]
    """Where the model comes from, as `module:factory`."""
    example: str
    """What it is called with: a shape such as 1x3x32x32, or `module:function` that returns a tensor, tuple or dict."""
    target: str = "sparsity=0.5"
    """How much: sparsity=S removes that share of the units; parameters=F, macs=F or latency=F keeps that share."""
    by: str = "magnitude"
    """The criterion, by name; settings follow a colon, as in magnitude:power=1."""
    layers: tuple[str, ...] = ()
    """The layers to take from; none takes all whose units can be removed."""
    ignore: tuple[str, ...] = ()
    """Layers whose units stay, with all that is tied to them: names, or patterns such as layers.0.*."""
    within: Literal["layer", "model"] = "model"
    """Whether each layer loses the same share, or scores are compared across layers."""
    floor: int = 1
    """How many units each layer keeps at least."""
    multiple: int = 1
    """Layers keep a multiple of so many units."""
    weights: Path | None = None
    """A safetensors bundle written by `surplus.save` to load first; without it the factory's own weights are used."""
    data: str | None = None
    """Batches of (inputs, targets) as `module:loader`, for criteria that look at data, and to judge on."""
    out: Path | None = None
    """Write the cut model to this safetensors bundle."""


def is_address(word: str) -> bool:
    """Say whether a word names something in a module, as `module:name`."""
    return ADDRESS.fullmatch(word) is not None


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    arguments = parse(Arguments, words, "prune")
    if arguments.out is not None:
        check_writable(arguments.out)
    model = built(arguments.model, arguments.weights)
    example = example_of(arguments.example)
    data = None if arguments.data is None else called(arguments.data)
    units = find_units(model, example, arguments.ignore)
    scores = score(model, units, member(Score, arguments.by), data, arguments.layers or None)
    mask = _mask(model, scores, arguments)
    print(_short(plan(mask)))
    smaller, edits = cut(model, mask)
    parts = {} if data is None else {"test": data}
    table = compare(model, masked(model, mask), smaller, example, parts)
    print(f"\n{comparison_table(table)}")
    if arguments.out is not None:
        save(arguments.out, smaller, edits)
        say(f"\nThe cut model is in {arguments.out}; `surplus.load(path, into=...)` opens it.")
    return 0


def _mask(model: nn.Module, scores: Scores, arguments: Arguments) -> Mask:
    found = TARGET.fullmatch(arguments.target)
    try:
        quantity, amount = (found[1], float(found[2])) if found else ("", 0.0)
    except ValueError:
        quantity = ""
    if not quantity:
        raise InvalidArgument(
            f"`--target` is {arguments.target}; write sparsity=0.5, parameters=0.5, macs=0.5 or latency=0.5."
        )
    within, floor, multiple = arguments.within, arguments.floor, arguments.multiple
    if quantity == "sparsity":
        check_sparsity(amount)
        return keep(scores, amount, within, floor=floor, multiple=multiple)
    mask, reached = keep_to(
        model,
        scores,
        cast(Quantity, quantity),  # the expression above lets nothing else through
        amount,
        within,
        floor,
        multiple,
    )
    say(
        f"Asked for {amount:g} of the {quantity}, reached {reached.reached:.4f} with {reached.unit_sparsity:.4f} of the"
        " units removed.\n"
    )
    return mask


def built(address: str, weights: Path | None) -> nn.Module:
    """Return the model that `module:factory` makes, with the weights of a bundle in it, if one is named."""
    model = called(address)
    if not isinstance(model, nn.Module):
        raise InvalidArgument(
            f"`{address}` returned a {type(model).__name__}; it has to return an `nn.Module`."
        )
    if weights is not None:
        model = load(weights, into=model)
    return model.eval()


def called(address: str) -> Any:
    """Call `module:name` and return the result."""
    if not is_address(address):
        raise InvalidArgument(f"`{address}` is not of the form module:function.")
    path, _, name = address.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        value: Any = importlib.import_module(path)
        for part in name.split("."):
            value = getattr(value, part)
    except ModuleNotFoundError as missing:
        raise UnknownName(
            f"There is no module `{path}` here or installed: {missing}. Run from the folder that holds it."
        ) from missing
    except AttributeError as missing:
        raise UnknownName(f"`{path}` has no `{name}`.") from missing
    finally:
        sys.path.remove(str(Path.cwd()))
    if not callable(value):
        raise InvalidArgument(f"`{address}` is a {type(value).__name__}; it has to be a function.")
    try:
        inspect.signature(value).bind()
    except TypeError as reason:
        raise InvalidArgument(
            f"`{address}` is called without arguments, and that does not fit: {reason}."
        ) from reason
    except ValueError:
        pass  # what is not written in Python has no signature to look at
    return value()


def example_of(text: str) -> Any:
    """Return what `--example` describes: numbers drawn in a shape, or what `module:function` returns."""
    if SHAPE.fullmatch(text):
        shape = [int(size) for size in text.split("x")]
        return torch.randn(shape, generator=torch.Generator().manual_seed(0))
    if is_address(text):
        return called(text)
    raise InvalidArgument(
        f"`--example` is {text}; write a shape such as 1x3x32x32, or module:function."
    )


def _short(table: Table) -> Table:
    """Cut long notes to what fits a line of a terminal; `plan` has them whole."""
    columns = dict(table.columns)
    columns["note"] = [
        note if len(str(note)) <= 60 else str(note)[:57] + "..." for note in table["note"]
    ]
    return Table(columns)
