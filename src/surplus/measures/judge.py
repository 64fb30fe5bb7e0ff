"""The judge: the data on which removals are judged, and whether they have labels."""

from typing import NamedTuple

import torch
from torch import Tensor

from surplus.base import Part
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated
from surplus.passes import Data, are_labels, batches, evaluated


class Judge(NamedTuple):
    """What removals are judged on."""

    data: Data
    num_examples: int
    labelled: bool
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
    count = len(data) if isinstance(data, Part) else sum(len(each) for _, each in data)
    return Judge(data, count, are_labels(targets), f"judged on {count:,} examples of the {part}")
