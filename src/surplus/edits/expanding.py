"""`expand`: a cut model at its original size again, with zeros where units were removed."""

from torch import nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Edits
from surplus.edits.records import Resize
from surplus.edits.resize import check, resized_copy
from surplus.units import copied


def expand(model: nn.Module, edits: Edits) -> nn.Module:
    """Return a copy of a cut model with the original architecture: what was removed is there again, and zero.

    Weights that trained on after the cut are where they were, so networks that were cut differently can be compared
    position by position. The copy computes what the cut model computes, unless removed units take part in the
    statistics of a normalisation again.

    Args:
        model: The model that the edits made.
        edits: The edits, which may only have removed units.

    Raises:
        InvalidArgument: the model does not have the shapes that the edits lead to, or the edits also added something,
            for which the original has no place.
    """
    whole = copied(model)
    for step, done in zip(reversed(edits.steps), reversed(edits.kinds), strict=True):
        if not isinstance(step, Resize) or step.grows:
            raise InvalidArgument(
                f"`expand` undoes what was cut or merged; these edits also contain a step of kind {done!r}, which gave"
                " the model something that the original has no place for."
            )
        back = step.backwards()
        check(whole, back)
        whole = resized_copy(whole, back)
    return whole
