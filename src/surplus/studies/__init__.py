"""Studies: a question each, with the runs that could answer it, the figures, and the claims with their verdicts.

What lives here:
- the family `Study`, whose members lie in `questions/`, one file per question; `Arm`, one cell of a study's grid;
- `claim`, which makes a method of a study the test of a `Claim`; `Evidence`, and the rules by which a verdict is
  reached: `above`, `below`, `apart`, `share_above`, `bootstrapped`, `all_of`, `undecided`;
- `Found`, the tables over all arms and replicas, with `pick` and `paired`; `lines` and `panels`, which draw;
- `study`, which conducts one and returns its `Outcome`, or raises `StudyIncomplete`; the family `Launcher`, whose
  members in `launchers/` say where the work is done; `ledger`, the claims of all studies with their verdicts.

May import: `base`, `store`, `nets`, `tasks`, `passes`, `scores`, `measures`, `training`, `methods`, `viewer`.
To add a study: one file in `questions/`, or one file of your own, given to `surplus study` by its path.
"""

from surplus.base import InvalidArgument

try:
    import matplotlib as _matplotlib  # noqa: F401
    import pandas as _pandas  # noqa: F401
    import scipy as _scipy  # noqa: F401
except (ImportError, RuntimeError) as missing:
    raise InvalidArgument(
        f"Studies need pandas, SciPy and Matplotlib ({missing}): pip install 'surplus[analysis]'."
    ) from missing

from surplus.studies.arm import Arm
from surplus.studies.claim import Claim, claim
from surplus.studies.conduct import StudyIncomplete, study
from surplus.studies.evidence import (
    Evidence,
    above,
    all_of,
    apart,
    below,
    bootstrapped,
    share_above,
    undecided,
)
from surplus.studies.found import Found, paired, pick
from surplus.studies.launcher import Launcher
from surplus.studies.launchers import _found as _launchers  # noqa: F401 - enters the launchers into their register
from surplus.studies.ledger import ledger
from surplus.studies.outcome import Outcome
from surplus.studies.plotting import lines, panels
from surplus.studies.study import Study

__all__ = [
    "Arm",
    "Claim",
    "Evidence",
    "Found",
    "Launcher",
    "Outcome",
    "Study",
    "StudyIncomplete",
    "above",
    "all_of",
    "apart",
    "below",
    "bootstrapped",
    "claim",
    "ledger",
    "lines",
    "paired",
    "panels",
    "pick",
    "share_above",
    "study",
    "undecided",
]
