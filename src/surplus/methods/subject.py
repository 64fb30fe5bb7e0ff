"""The subject of a method: a network with its units and the data to judge it on, wherever it came from."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, final

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from surplus.base import InvalidArgument, Loss, Part, Parts, Task
from surplus.edits import Edits, Origin, load_with_edits
from surplus.masks import Mask
from surplus.methods.context import Context
from surplus.methods.runs import model_of, origin_of, spec_of
from surplus.passes import draw
from surplus.store import Run
from surplus.tasks.losses.cross_entropy import CROSS_ENTROPY
from surplus.training import example_of
from surplus.units import Units, find_units


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A network to be ablated or cut."""

    model: nn.Module
    units: Units
    parts: Parts
    """The data: scores and choices look at validation, test is only reported."""
    mask: Mask | None = None
    """What was removed before; it stays removed and is not counted."""
    origin: Origin | None = None
    """How the network is built before any edit; without it a cut one loads only into a fresh model."""
    edits: Edits = Edits()
    """What was done to it since."""

    @property
    def loss(self) -> Loss:
        """The loss of the task that it learnt, where that is known."""
        task = None if self.origin is None else self.origin.task
        return CROSS_ENTROPY if task is None else task.loss


def subject_of_run(run: Run, context: Context) -> Subject:
    """Return the network of a run as it was in the end."""
    spec = spec_of(run)
    model, mask = model_of(run)
    parts = context.parts(spec.task)
    units = find_units(model, example_of(parts))
    if mask is not None and mask.over == "units":
        mask = mask.bind(units)
    before = spec.start.edits if spec.start is not None else None
    return Subject(
        model=model,
        units=units,
        parts=parts,
        mask=mask,
        origin=origin_of(spec),
        edits=before or Edits(),
    )


def subject_of_bundle(path: Path, context: Context, task: Task | None = None) -> Subject:
    """Return the network of a bundle.

    Args:
        path: A file that `save` wrote with an origin.
        context: Where the data lie.
        task: What to judge it on; None takes the task that the bundle names.

    Raises:
        CorruptFile: the file is truncated, edited, or holds no model.
        InvalidArgument: the bundle does not say how its model is built, or names no task and none is given.
    """
    model, edits, origin = load_with_edits(path)
    assert origin is not None
    task = task or origin.task
    if task is None:
        raise InvalidArgument(
            f"{path} does not say what its network learnt: name the data with `--task`."
        )
    parts = context.parts(task)
    model.eval()
    units = find_units(model, example_of(parts))
    return Subject(model=model, units=units, parts=parts, origin=origin, edits=edits)


def sampled_subject(subject: Subject, num_examples: int | None) -> Subject:
    """Return a subject with at most so many examples of validation and of test, the same ones each time.

    Raises:
        InvalidArgument: fewer than one example is asked for.
    """
    if num_examples is None:
        return subject
    parts = subject.parts
    validation, test = (
        cast(Part, draw(each, num_examples, seed=0).data) for each in (parts.validation, parts.test)
    )
    return replace(subject, parts=Parts(parts.train, validation, test))


def kept_of(subject: Subject, name: str) -> Bool[Tensor, " units"]:
    """Return which units of a layer are still there."""
    size = subject.units.chosen(name).size
    mask = subject.mask
    if mask is not None and mask.over == "units" and name in mask.kept:
        return mask.kept[name]
    return torch.ones(size, dtype=torch.bool)
