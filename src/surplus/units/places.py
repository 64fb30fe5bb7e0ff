"""Places: where in a run an operator is, so that it is found again in another run."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, final

from torch import nn


class Place(NamedTuple):
    """The module that runs, the operator, and how many of it the module has run before."""

    module: str
    operator: str
    before: int


@final
class Places:
    """Tells the place of each operator of a run.

    Not its number in the run: on other data or with other weights a model may take another path, as experts that are
    chosen do, and what comes behind must still be found.
    """

    def __init__(self) -> None:
        self.running: list[str] = [""]
        """The modules that run now, from the outermost."""
        self._counts: Counter[tuple[str, str]] = Counter()

    def next(self, operator: Any) -> Place:
        """Return the place of an operator that runs now."""
        key = self.running[-1], operator._schema.name
        self._counts[key] += 1
        return Place(*key, self._counts[key] - 1)

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Follow which module of a model runs."""
        with ExitStack() as stack:
            for name, module in model.named_modules():
                stack.callback(module.register_forward_pre_hook(self._enter(name)).remove)
                stack.callback(module.register_forward_hook(self._leave).remove)
            yield

    def _enter(self, name: str) -> Any:
        return lambda module, inputs: self.running.append(name)

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.running.pop()
