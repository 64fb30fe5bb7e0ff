"""Conduct studies at their default scale, write docs/results, and put the ledger into the README.

    python bench/studies.py                      # all of them
    python bench/studies.py pruning-criteria     # some

Runs are kept in $SURPLUS_RUNS, else ./runs, and shared; the data are read from $SURPLUS_DATA. How long each study took
is printed; what was there already takes no time.
"""

import os
import sys
import time
from pathlib import Path

from surplus.base import Table, members
from surplus.methods import Context
from surplus.store import Store
from surplus.studies import Study, ledger, study
from surplus.studies.launchers.processes import Processes
from surplus.studies.ledger import write_ledger
from surplus.studies.summary import markdown_table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
BEGIN, END = "<!-- ledger: made by bench/studies.py -->\n", "<!-- end of ledger -->\n"


def main(names: list[str]) -> None:
    """Conduct studies and write what came out."""
    context = Context(store=Store(os.environ.get("SURPLUS_RUNS", "runs")))
    rows = []
    for name in names or list(members(Study)):
        begun = time.perf_counter()
        outcome = study(name, out=RESULTS, context=context, launcher=Processes())
        seconds = time.perf_counter() - begun
        rows.append({"study": name, "runs": len(outcome.runs), "seconds": round(seconds, 1)})
        print(Table.from_rows(rows[-1:]), flush=True)
        write_ledger(RESULTS)
    update_readme()
    print(Table.from_rows(rows))


def update_readme() -> None:
    """Put the ledger between its marks in the README."""
    path = ROOT / "README.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(
        f"{before}{BEGIN}{readme_ledger(ledger(RESULTS))}{END}{after}", encoding="utf-8"
    )


def readme_ledger(table: Table) -> str:
    """Return the ledger as short as the README wants it: a line for each study."""
    rows = []
    for name in dict.fromkeys(table["study"]):
        claims = list(table.where(study=name).rows())
        told = {
            verdict: [str(each["sentence"]) for each in claims if each["verdict"] == verdict]
            for verdict in ("holds", "fails", "undecided", "not conducted")
        }
        rows.append(
            {
                "study": f"[{name}](docs/results/{name}/README.md)",
                **{verdict: "<br>".join(told[verdict]) for verdict in ("holds", "fails")},
                "undecided": len(told["undecided"]) or "",
            }
        )
    return "\n".join(markdown_table(["study", "holds", "fails", "undecided"], rows)) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
