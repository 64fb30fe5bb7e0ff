"""From a subcommand's words to its dataclass; free of torch, so that listing runs is quick."""

from collections.abc import Sequence
from typing import Any, TypeVar

import tyro

A = TypeVar("A")


def parse(arguments: type[A], words: Sequence[str], name: str, default: A | None = None) -> A:
    """Read a subcommand's words into its dataclass; wrong usage prints help and exits with status 2."""
    description = (arguments.__doc__ or "").strip()
    kwargs: dict[str, Any] = {} if default is None else {"default": default}
    return tyro.cli(
        arguments, prog=f"surplus {name}", description=description, args=list(words), **kwargs
    )
