"""What single units do, measured in networks of all kinds: what cannot be treated is named, nothing breaks."""

import pytest
import torch
from torch import Tensor

from measuring import seen_with
from surplus.base import label
from surplus.measures import (
    DeadUnits,
    FreeParameters,
    LinearDependence,
    OutputCorrelation,
    RemovableUnits,
    RepeatedUnits,
    SynchronisedUnits,
    findings,
)
from surplus.measures.matrices import parameters_of
from zoo import build

MEASURES = (
    DeadUnits(),
    FreeParameters(),
    LinearDependence(),
    OutputCorrelation(),
    RemovableUnits(),
    RepeatedUnits(),
    SynchronisedUnits(),
)
NETWORKS = (
    "conv1d",
    "gpt",
    "lstm",
    "mixture_of_experts",
    "preact_resnet",
    "shared_weight",
    "squeeze_excitation",
    "tied_lstm_lm",
    "transformer_encoder",
    "two_heads_tuple",
    "vit",
)


def data_of(example: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Two batches like the example, with labels."""
    labels = torch.arange(len(example)) % 2
    other = example.flip(0) * 2 if example.is_floating_point() else example.flip(0)
    return [(example, labels), (other, labels)]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("measure", MEASURES, ids=label)
def test_every_layer_has_findings_or_a_reason(name, measure):
    model, example = build(name)
    before = {key: each.clone() for key, each in model.state_dict().items()}
    seen = seen_with(measure, model, data_of(example))
    found = [each for _, each in findings(seen, (measure,))]
    layers = set(parameters_of(seen)) if isinstance(measure, FreeParameters) else set(seen.names)
    assert layers <= {each.layer for each in found}
    assert all(each.note for each in found if each.value is None)
    assert all(torch.equal(before[key], each) for key, each in model.state_dict().items())
