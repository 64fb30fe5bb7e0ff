"""A trial: a copy of the network, whose weights are put in and out."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from surplus.base import InvalidArgument
from surplus.measures.matrices import parameters_of
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated
from surplus.passes import Data, are_labels, batches, performance
from surplus.units import copied, evaluating


@final
class Trial:
    """Judges a network with the weights of some layers replaced; the user's model is not touched.

    Args:
        seen: The network.
        data: What it is judged on.

    Raises:
        Untreated: it is no classifier on these data.
    """

    def __init__(self, seen: Observed, data: Data) -> None:
        self.data = data
        self.seed = seen.seed
        self.model = copied(seen.model)
        self.parameters = dict(self.model.named_parameters())
        self.names = parameters_of(seen)
        self._check_labels()
        try:
            self.num_examples = performance(self.model, self.data).num_examples
        except InvalidArgument as reason:
            raise Untreated(str(reason)) from reason

    @torch.no_grad()
    def accuracy(self, weights: Mapping[str, Tensor]) -> float:
        """Return the accuracy with the weights of some layers replaced."""
        parameters = [self.parameters[self.names[layer]] for layer in weights]
        before = [parameter.clone() for parameter in parameters]
        for parameter, W in zip(parameters, weights.values(), strict=True):
            parameter.copy_(W.view_as(parameter))
        found = performance(self.model, self.data)
        for parameter, old in zip(parameters, before, strict=True):
            parameter.copy_(old)
        return found.hits() / found.num_examples

    @torch.no_grad()
    def _check_labels(self) -> None:
        with evaluating(self.model):
            inputs, targets = next(batches(self.data, self.model))
            outputs = self.model(inputs)
        if not (are_labels(targets) and isinstance(outputs, Tensor) and outputs.dim() == 2):
            raise Untreated(
                "it judges accuracy, and the targets are not one class label for each example"
            )
