"""`surplus export`: a model as ONNX or as a program of `torch.export`, checked by running it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import tyro
from torch import nn

from surplus.base import InvalidArgument
from surplus.cli import own
from surplus.cli.folders import readable_bytes
from surplus.cli.parsing import parse
from surplus.edits import load_with_edits
from surplus.interop import export_onnx, export_program
from surplus.store import read_bundle

FORMS = {".onnx": export_onnx, ".pt2": export_program}
BATCH = 2  # examples to try a network of a bundle on


@final
@dataclass
class Arguments:
    """Write a model as ONNX (a file that ends in .onnx) or as a program of torch.export (.pt2).

    The file is checked by running it beside the model, and appears whole or not at all. A masked model is refused: cut
    it first, so that what is exported is really smaller.
    """

    model: tyro.conf.Positional[str]
    """A bundle (a .safetensors file) of one of Surplus's networks, or a model of your own, as `module:factory`."""
    to: Path
    """The file to write; its ending says the form: .onnx or .pt2."""
    example: str | None = None
    """What it is called with: a shape such as 1x3x32x32, or `module:function` that returns a tensor, tuple or dict. A
    bundle of one of Surplus's networks knows its own."""
    weights: Path | None = None
    """A bundle written by `surplus.save` to load into the model of `module:factory` first."""
    allow_masked: tyro.conf.FlagCreatePairsOff[bool] = False
    """Export a masked model, too."""
    fixed_batch: tyro.conf.FlagCreatePairsOff[bool] = False
    """Hold the size of the example's batch; without it, the file takes a batch of any size where that can be."""


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    arguments = parse(Arguments, words, "export")
    form = FORMS.get(arguments.to.suffix)
    if form is None:
        raise InvalidArgument(
            f"`--to` is {arguments.to}; name a file that ends in .onnx or .pt2, which says the form."
        )
    model, example = _subject(arguments)
    written = form(
        arguments.to,
        model,
        example,
        allow_masked=arguments.allow_masked,
        any_batch=not arguments.fixed_batch,
    )
    batch = "any batch" if written.batch is None else f"a batch of {written.batch}"
    print(f"Written: {written.path} ({readable_bytes(written.num_bytes)}), for {batch}.")
    print(f"Largest difference to the model's outputs on the example: {written.difference:.2g}")
    return 0


def _subject(arguments: Arguments) -> tuple[nn.Module, Any]:
    """Return the model and what it is called with."""
    if own.is_address(arguments.model):
        if arguments.example is None:
            raise InvalidArgument(
                "`--example` is missing: a model of your own has to be run once. Write a shape such as 1x3x32x32, or"
                " module:function."
            )
        return own.built(arguments.model, arguments.weights), own.example_of(arguments.example)
    path = Path(arguments.model)
    if path.suffix != ".safetensors":
        raise InvalidArgument(
            f"`{arguments.model}` is neither a bundle (a .safetensors file) nor of the form module:factory."
        )
    if arguments.weights is not None:
        raise InvalidArgument(
            "`--weights` goes with module:factory; a bundle has weights of its own."
        )
    return _of_bundle(path, arguments.example)


def _of_bundle(path: Path, example: str | None) -> tuple[nn.Module, Any]:
    about = read_bundle(path).metadata
    if about.get("kind") == "model" and about["origin"] is None:
        raise InvalidArgument(
            f"{path} does not say how its model is built. Name what builds it: surplus export module:factory --weights"
            f" {path} --example ... --to ..."
        )
    model, _, origin = load_with_edits(path)
    assert origin is not None
    shape = "x".join(map(str, (BATCH, *origin.input_shape)))
    return model.eval(), own.example_of(example or shape)
