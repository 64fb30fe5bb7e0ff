"""The table: named columns with units, as every result leaves the library."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, final

from surplus.base.errors import InvalidArgument, unknown_name

if TYPE_CHECKING:
    import pandas

FIELD = re.compile(r'("(?:[^"]|"")*"|[^",\n]*)(,|\n)')
Cell = str | int | float | bool | None


@final
class Table:
    """Named columns of equal length, each with an optional unit.

    Example:
        >>> table = Table({"layer": ["fc1", "fc2"], "kept": [150, 100]}, units={"kept": "units"})
        >>> table.where(layer="fc1")["kept"]
        [150]
        >>> print(table)
        layer  kept [units]
        fc1             150
        fc2             100
    """

    def __init__(
        self, columns: Mapping[str, Iterable[Cell]], units: Mapping[str, str] | None = None
    ) -> None:
        self.columns: dict[str, list[Cell]] = {name: list(cells) for name, cells in columns.items()}
        self.units: dict[str, str] = dict(units or {})
        lengths = {name: len(cells) for name, cells in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidArgument(f"The columns of a table must have one length; got {lengths}.")

    @classmethod
    def from_rows(
        cls, rows: Sequence[Mapping[str, Cell]], units: Mapping[str, str] | None = None
    ) -> "Table":
        """Collect rows; a key that a row lacks becomes None."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        return cls({name: [row.get(name) for row in rows] for name in names}, units)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __getitem__(self, name: str) -> list[Cell]:
        if name not in self.columns:
            raise unknown_name("column", name, self.columns)
        return self.columns[name]

    def rows(self) -> Iterator[dict[str, Cell]]:
        """Yield each row as a dictionary."""
        for cells in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, cells, strict=True))

    def where(self, **equal: Cell) -> "Table":
        """Return the rows whose named columns hold the given values."""
        for name in equal:
            self[name]
        rows = [row for row in self.rows() if all(row[name] == equal[name] for name in equal)]
        return Table({name: [row[name] for row in rows] for name in self.columns}, self.units)

    def to_csv(self) -> str:
        """Write comma-separated text; texts are quoted, numbers keep every digit, None is an empty field."""
        lines = [[_quoted(head) for head in self._heads()]]
        lines += [
            [_written(cell) for cell in row] for row in zip(*self.columns.values(), strict=True)
        ]
        return "".join(",".join(line) + "\n" for line in lines)

    @classmethod
    def from_csv(cls, text: str) -> "Table":
        """Read what `to_csv` wrote."""
        cells = list(_records(text))
        heads = cells.pop(0) if cells else []
        names, units = [], {}
        for head in map(str, heads):
            name, _, unit = head.partition(" [")
            names.append(name)
            if unit:
                units[name] = unit.removesuffix("]")
        columns = {name: [line[place] for line in cells] for place, name in enumerate(names)}
        return cls(columns, units)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a `pandas.DataFrame` (extra `analysis`).

        Raises:
            SurplusError: pandas is not installed.
        """
        try:
            import pandas
        except (ImportError, RuntimeError) as missing:
            raise InvalidArgument(
                "`to_pandas` needs pandas: pip install 'surplus[analysis]'."
            ) from missing
        return pandas.DataFrame(self.columns)

    def to_parquet(self) -> bytes:
        """Return the contents of a Parquet file, with the columns' units in their metadata (extra `parquet`).

        Raises:
            SurplusError: pyarrow is not installed, or a column mixes words and numbers, which Parquet cannot hold.
        """
        try:
            import pyarrow
            from pyarrow import parquet
        except (ImportError, RuntimeError) as missing:
            raise InvalidArgument(
                "`to_parquet` needs pyarrow: pip install 'surplus[parquet]'."
            ) from missing
        fields, columns = [], []
        for name, cells in self.columns.items():
            try:
                column = pyarrow.array(_of_one_type(cells))
            except pyarrow.ArrowInvalid as mixed:
                raise InvalidArgument(
                    f"The column `{name}` mixes words and numbers, which Parquet cannot hold; write CSV."
                ) from mixed
            about = {"unit": self.units[name]} if name in self.units else None
            fields.append(pyarrow.field(name, column.type, metadata=about))
            columns.append(column)
        sink = pyarrow.BufferOutputStream()
        parquet.write_table(pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields)), sink)
        return sink.getvalue().to_pybytes()

    def __str__(self) -> str:
        shown = [[_show(cell) for cell in cells] for cells in self.columns.values()]
        lines = []
        widths = [
            max([len(head), *map(len, cells)])
            for head, cells in zip(self._heads(), shown, strict=True)
        ]
        numeric = [
            all(isinstance(cell, int | float | None) for cell in cells)
            for cells in self.columns.values()
        ]
        for line in [self._heads(), *map(list, zip(*shown, strict=True))]:
            padded = [
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(line, widths, numeric, strict=True)
            ]
            lines.append("  ".join(padded).rstrip())
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Table({len(self)} rows: {', '.join(self._heads())})"

    def _heads(self) -> list[str]:
        return [
            f"{name} [{self.units[name]}]" if name in self.units else name for name in self.columns
        ]


def _of_one_type(cells: list[Cell]) -> list[Cell]:
    """Return whole numbers among fractions as fractions: a column has one type."""
    fractions = any(isinstance(cell, float) for cell in cells)
    return [float(cell) if type(cell) is int and fractions else cell for cell in cells]


def _show(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.6g}"
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}"
    return str(cell)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    return _quoted(cell) if isinstance(cell, str) else repr(cell)


def _records(text: str) -> Iterator[list[Cell]]:
    """Yield the cells of each line; only what is not quoted is a number."""
    record: list[Cell] = []
    for field, end in FIELD.findall(text):
        quoted = field.startswith('"')
        record.append(field[1:-1].replace('""', '"') if quoted else _parse(field))
        if end == "\n":
            yield record
            record = []


def _parse(text: str) -> Cell:
    if text == "":
        return None
    if text in ("True", "False"):
        return text == "True"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
