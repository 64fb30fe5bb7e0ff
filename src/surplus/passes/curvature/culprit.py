"""Which operator stands in the way of second derivatives."""

import re

from torch import Tensor
from torch.autograd.function import BackwardCFunction

# As PyTorch words it: "forward AD with X that", "derivative for 'X' is", "the derivative of X", "aten::X".
WORDINGS = (r"derivative for '?(?:aten::)?(\w+)", r"with (?:aten::)?(\w+) that", r"aten::(\w+)")


def culprit(error: Exception, outputs: Tensor) -> str:
    """Name the operator of which an error speaks, or else the functions that the network brings along.

    Args:
        error: What PyTorch said.
        outputs: Of the network, with the graph of how they came about.
    """
    for wording in WORDINGS:
        named = re.search(wording, str(error))
        if named:
            return f"`{named[1]}`"
    functions = sorted(_functions(outputs))
    if functions:
        return " or ".join(f"the `torch.autograd.Function` `{name}`" for name in functions)
    return f"an operator of it ({str(error).splitlines()[0]})"


def _functions(outputs: Tensor) -> set[str]:
    """Return the names of the functions with a backward pass in Python from which the outputs were computed."""
    found: set[str] = set()
    waiting, known = [outputs.grad_fn], {outputs.grad_fn}
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        if isinstance(node, BackwardCFunction):
            found.add(type(node).__name__.removesuffix("Backward"))
        for following, _ in node.next_functions:
            if following not in known:
                known.add(following)
                waiting.append(following)
    return found
