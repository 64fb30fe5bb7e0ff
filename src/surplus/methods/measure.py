"""`measure`: ask measures about a model, or about a run at one or all of its snapshots."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from surplus.base import Cell, InvalidArgument, Parts, Table, UnknownName, unknown_name
from surplus.edits import example_for
from surplus.masks import Mask
from surplus.measures import Measure, Observed, check_measures, findings, observed, table_of
from surplus.measures.report import report_measures
from surplus.methods.context import Context
from surplus.methods.measuring import Measuring
from surplus.passes import Data, batches, sampled
from surplus.store import Run
from surplus.training import progress
from surplus.units import Units, find_units

At = int | Literal["all"] | None
S = TypeVar("S", nn.Module, Run)


def measure(
    what: nn.Module | Run,
    data: Data | Parts | None = None,
    *,
    by: Measure | Sequence[Measure] | None = None,
    example: Any = None,
    layers: Sequence[str] | None = None,
    initial: nn.Module | Mapping[str, Tensor] | None = None,
    mask: Mask | None = None,
    other: nn.Module | Run | None = None,
    at: At = None,
    part: Literal["train", "validation", "test"] = "train",
    num_examples: int | None = 10_000,
    seed: int = 0,
    context: Context | None = None,
) -> Table:
    """Return a tidy table of what measures find: one row per number, with the layer, unit or pair that it belongs to.

    All that several measures need is gathered in one pass over the data. The model is left as it was.

    Args:
        what: A model of any kind, or a run.
        data: For a model: a part of a task or batches of (inputs, targets), which measures of activations, losses and
            gradients look at; or all three parts of a task. A run has its own.
        by: The measures; None takes those of the report (`surplus measure`).
        example: What the model is called with, to find its units; None takes the first inputs of the data.
        layers: The layers; None takes all that have weights.
        initial: For a model: itself at initialisation, or its state dict then, which some measures compare with.
        mask: For a model: what was removed from it.
        other: A second model or run to compare with.
        at: For a run: the step of the snapshot, "all", or None for the last one.
        part: Which part of the data to look at, where there are three.
        num_examples: How many examples of it at most, drawn by the seed; None takes all.
        seed: Of whatever is drawn.
        context: For a run: where runs and data lie.

    Raises:
        InvalidArgument: an argument does not fit, or there is nothing to call the model with.
        UnknownName: a layer, or a snapshot, that is not there.

    Example:
        >>> import torch, surplus as sp
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> table = sp.measure(net, by=sp.measures.FramePotential(), example=torch.zeros(1, 4))
        >>> table.where(quantity="greatest_frame_potential", layer="0")["value"]
        [9.0]
    """
    asked = Measuring(
        by=check_measures(report_measures() if by is None else by),
        part=part,
        num_examples=num_examples,
        layers=None if layers is None else tuple(layers),
        seed=seed,
    )
    own = {"data": data, "example": example, "initial": initial, "mask": mask}
    if isinstance(what, Run):
        _refuse(own, "a run has its own")
        return measure_run(what, asked, context or Context(), at, _same_kind(Run, other))
    _refuse({"at": at, "context": context}, "it is for runs")
    return measure_model(what, asked, **own, other=_same_kind(nn.Module, other))


def measure_model(
    model: nn.Module,
    asked: Measuring,
    data: Data | Parts | None = None,
    example: Any = None,
    initial: nn.Module | Mapping[str, Tensor] | None = None,
    mask: Mask | None = None,
    other: nn.Module | None = None,
) -> Table:
    """Return what is found in a model; the arguments are those of `measure`."""
    # Loaders draw from the global streams, and a pass needs to see operators, which inference mode hides.
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        return _measured(model, asked, data, example, initial, mask, other)


def _measured(
    model: nn.Module,
    asked: Measuring,
    data: Data | Parts | None,
    example: Any,
    initial: nn.Module | Mapping[str, Tensor] | None,
    mask: Mask | None,
    other: nn.Module | None,
) -> Table:
    parts = data if isinstance(data, Parts) else None
    looked_at: Data | None = getattr(data, asked.part) if isinstance(data, Parts) else data
    drawn = None if looked_at is None else sampled(looked_at, asked.num_examples, asked.seed)
    units = find_units(model, _example(model, drawn, example))
    mask = None if mask is None else _fitting(mask, units)
    start = initial.state_dict() if isinstance(initial, nn.Module) else initial
    if start is not None and not _is_state(start):
        raise InvalidArgument(
            f"`initial` is a {type(initial).__name__}; it takes a model, or a state dict: names and their tensors."
        )
    seen = observed(
        model,
        units,
        asked.by,
        drawn,
        layers=asked.layers,
        parts=parts,
        part=None if parts is None else asked.part,
        initial=start,
        mask=mask,
        other=None if other is None else _second(other, asked, units, drawn),
        seed=asked.seed,
    )
    return table_of(findings(seen, asked.by))


def measure_run(
    run: Run, measuring: Measuring, context: Context, at: At, other: Run | None
) -> Table:
    """Return what is found at one snapshot of a run, or at every one, each kept beside the run once it is known."""
    if other is not None:
        step = max(other.snapshots(), default=None)
        measuring = replace(measuring, against=other.name, against_at=step)
    known = sorted(run.snapshots())
    if not known:
        raise UnknownName(f"{run.name} has no snapshots, so there is nothing to measure.")
    if at != "all":
        if at is not None and at not in known:
            run.snapshot(at)  # says which there are
        return replace(measuring, at=at).apply(run, context).tables["findings"]
    rows: list[Mapping[str, Cell]] = []
    with progress("measuring", len(known), "snapshots", context.progress) as bar:
        for done, step in enumerate(known):
            bar.update(done, f"step {step:,}")
            rows += replace(measuring, at=step).apply(run, context).tables["findings"].rows()
    return Table.from_rows(rows)


def _example(model: nn.Module, data: Data | None, example: Any) -> Any:
    if example is not None:
        return example
    if data is None:
        raise InvalidArgument(
            "The model has to be called once to find its units: pass `data=`, or an `example=` of its inputs."
        )
    inputs, _ = next(batches(data, model))
    return inputs[:2]


def _is_state(given: object) -> bool:
    return isinstance(given, Mapping) and all(isinstance(each, Tensor) for each in given.values())


def _fitting(mask: Mask, units: Units) -> Mask:
    """Return a mask that goes with the model.

    Raises:
        InvalidArgument: it is no mask, or one of another model.
    """
    if not isinstance(mask, Mask):
        raise InvalidArgument(f"`mask` is a {type(mask).__name__}; it must be a `surplus.Mask`.")
    if mask.over == "units":
        return mask.bind(units)
    for name, kept in mask.kept.items():
        if name not in units.shapes:
            raise unknown_name("weight", name, units.shapes)
        if kept.shape != units.shapes[name]:
            raise InvalidArgument(
                f"The mask of `{name}` has shape {tuple(kept.shape)}, but the weight has {tuple(units.shapes[name])}:"
                " the mask belongs to another model."
            )
    return mask


def _second(other: nn.Module, asked: Measuring, units: Units, data: Data | None) -> Observed:
    """Return what may be seen of a second model, called with the same example."""
    positional, named = example_for(other, units.example)
    theirs = find_units(other, named or positional)
    return observed(other, theirs, asked.by, data, layers=asked.layers, seed=asked.seed)


def _same_kind(kind: type[S], other: nn.Module | Run | None) -> S | None:
    """Return the second network, if it is what the first one is."""
    if other is None or isinstance(other, kind):
        return other
    raise InvalidArgument(
        f"`other` is a {type(other).__name__}; a model is compared with a model, a run with a run."
    )


def _refuse(given: Mapping[str, object], reason: str) -> None:
    for name, value in given.items():
        if value is not None:
            raise InvalidArgument(f"`{name}` does not go with this: {reason}.")
