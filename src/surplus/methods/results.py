"""What a method returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from surplus.base import Table


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """Tables by name, and single values that belong to no table."""

    tables: Mapping[str, Table]
    values: Mapping[str, Any] = field(default_factory=dict)
