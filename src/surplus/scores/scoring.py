"""`score`: ask a criterion about the units of a model."""

from collections.abc import Sequence

import torch
from torch import nn

from surplus.masks import Mask, Scores
from surplus.passes import Data
from surplus.scores.layer import Layer
from surplus.scores.score import Score
from surplus.units import Units


def score(
    model: nn.Module,
    units: Units,
    by: Score,
    data: Data | None = None,
    layers: Sequence[str] | None = None,
    among: Mask | None = None,
) -> Scores:
    """Score the units of a model, higher = more worth keeping; the model is left as it was.

    Args:
        model: The model on which the units were found, or one of the same shape.
        units: Its units.
        by: The criterion.
        data: A part of a task, or batches of (inputs, targets), for criteria that look at activations or losses.
        layers: The layers to score; None takes all whose units can be removed.
        among: Only these units are there, for criteria that depend on what is left.

    Raises:
        InvalidArgument: the criterion needs data and none were given, or gave NaN; or the model is another than the
            units'.
        UnknownName: a layer that the model does not have.
    """
    units.check(model)
    values = {}
    for name in units.names(layers):
        group = units.chosen(name)
        kept = torch.ones(group.size, dtype=torch.bool)
        if among is not None and name in among.kept:
            kept = among.kept[name]
        values[name] = by.score(Layer(model, units, name, kept, data)).detach().cpu()
    return Scores(values, "units", units, repr(by))
