"""The probe that tells what is learnt from what is memorised."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from surplus.base import InvalidArgument, Moments, Probe, RunState, register
from surplus.passes import performance
from surplus.tasks import ImagePart
from surplus.training.moments.each_epoch import EachEpoch


@register("memorisation")
@dataclass(frozen=True, kw_only=True, slots=True)
class Memorisation(Probe):
    """Record the accuracy on the training examples whose labels were changed apart from that on the others.

    `clean_accuracy` is that on examples with their published labels; on those with changed ones, `memorised_accuracy`
    counts what agrees with the changed label, which only memory can know, and `healed_accuracy` what agrees with the
    published one, which was never shown. `test_accuracy` stands beside them, all at the same step. Where no example is
    clean, or none is changed, the number is null.

    Reference: rolnick2017deep, Section 2; zhang2017understanding for labels that are all random.
    """

    references: ClassVar = ("rolnick2017deep", "zhang2017understanding")

    at: Moments = EachEpoch()
    """When to look."""

    def look(self, state: RunState) -> Mapping[str, Any]:
        """Return the accuracies.

        Raises:
            InvalidArgument: the task does not know which of its labels were changed.
        """
        train = state.parts.train
        if not isinstance(train, ImagePart):
            raise InvalidArgument(
                "`memorisation` needs a task that knows which of its labels were changed, as image tasks with"
                f" `labels` do; this one has a {type(train).__name__}."
            )
        train, model = train.to("cpu"), state.model
        changed = train.take(train.changed.nonzero()[:, 0])
        asked = {
            "clean": train.take((~train.changed).nonzero()[:, 0]),
            "memorised": changed,
            "healed": changed.as_published(),
        }
        found = {
            f"{name}_accuracy": performance(model, part).accuracy if len(part) else None
            for name, part in asked.items()
        }
        return {**found, "test_accuracy": state.performance("test").accuracy}
