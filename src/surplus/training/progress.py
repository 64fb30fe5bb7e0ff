"""A progress bar with rate and time left; silent where there is no terminal to show it on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, final, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Is told how far the work has come."""

    def update(self, done: int, note: str = "") -> None:
        """Show that `done` of the total is done, with a short note."""
        ...


@final
class Silent:
    """Shows nothing."""

    def update(self, done: int, note: str = "") -> None:
        """Show nothing."""


@contextmanager
def progress(title: str, total: int, unit: str, shown: bool = True) -> Iterator[Progress]:
    """Show a bar on standard error while the context lasts, if that is a terminal.

    Args:
        title: What is going on.
        total: How much there is to do.
        unit: The unit of the rate, such as "steps".
        shown: False keeps it silent on a terminal too.
    """
    if not shown or not sys.stderr.isatty():
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, note="")

        @final
        class Shown:
            def update(self, done: int, note: str = "") -> None:
                bar.update(task, completed=done)
                if note:
                    bar.update(task, note=note)

        yield Shown()
