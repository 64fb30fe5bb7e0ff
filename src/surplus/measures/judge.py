"""The judge: the data on which removals are judged, and whether they have labels."""

from typing import NamedTuple

import torch
from torch import Tensor

from surplus.base import Part
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated
from surplus.passes import Data, are_labels, batches, evaluated, pairs

NO_LABELS = "the targets are not class labels"


class Judge(NamedTuple):
    """What removals are judged on."""

    data: Data
    num_examples: int
    refused: str | None
    """Why accuracy cannot be told."""
    note: str


@torch.no_grad()
def judge_of(seen: Observed) -> Judge:
    """Return what removals are judged on: the validation part if the parts are known, else the data.

    Raises:
        Untreated: there are no data, or the network is no classifier.
    """
    data = seen.examples() if seen.parts is None else seen.parts.validation
    part = "data" if seen.parts is None else "validation part"
    inputs, targets = next(iter(batches(data, seen.model)))
    few = inputs[:2]
    outputs = evaluated(seen.model, few)
    is_tensor = isinstance(outputs, Tensor)
    if not is_tensor or outputs.dim() != 2 or len(outputs) != len(few):
        given = f"of shape {tuple(outputs.shape)}" if is_tensor else f"a {type(outputs).__name__}"
        raise Untreated(
            "its removals are judged by the class with the largest output: that takes outputs of shape"
            f" ({len(few)}, classes) for {len(few)} examples, and these are {given}"
        )
    labels = (
        data.targets if isinstance(data, Part) else torch.cat([each for _, each in pairs(data)])
    )
    count = len(labels)
    refused = None if are_labels(targets) else NO_LABELS
    if refused is None and not 0 <= int(labels.min()) <= int(labels.max()) < outputs.shape[1]:
        refused = "there are labels for which the model has no output"
    return Judge(data, count, refused, f"judged on {count:,} examples of the {part}")
