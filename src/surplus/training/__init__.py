"""Training: the one closed loop, the fleet engine behind it, and what a run is made of.

What lives here: `Spec`, `Training`, `From`; `train_fleet`, the loop; `Fleet`, the engine for chains, of which a single
run is the fleet of one; optimisers, schedules, moments, probes and interventions, one per file in folders of their
own; recipes.
May import: `base`, `units`, `masks`, `edits`, `passes`, `scores`, `nets`, `tasks`.
To add an optimiser, schedule, choice of moments, probe or intervention: one file in its folder.
"""

from surplus.training import interventions, moments, optimizers, probes, schedules
from surplus.training.allocator import keep_freed_memory
from surplus.training.environment import environment
from surplus.training.fleet import Fleet
from surplus.training.loop import Member, fleet_key, split_state, train_fleet
from surplus.training.optimizer import Optimizer, Update
from surplus.training.order import Order
from surplus.training.progress import Progress, progress
from surplus.training.recipes import RECIPES, recipe
from surplus.training.spec import From, Spec, Training
from surplus.training.state import example_of

__all__ = [
    "RECIPES",
    "Fleet",
    "From",
    "Member",
    "Optimizer",
    "Order",
    "Progress",
    "Spec",
    "Training",
    "Update",
    "environment",
    "example_of",
    "fleet_key",
    "interventions",
    "keep_freed_memory",
    "moments",
    "optimizers",
    "probes",
    "progress",
    "recipe",
    "schedules",
    "split_state",
    "train_fleet",
]
