"""Training: the one closed loop, the engines behind it, and what a run is made of.

What lives here:
- `Spec`, `Training` and `From`, all that decides a run; `recipe`, one of the published `RECIPES`;
- `train_fleet`, the loop, which takes a `Member` for each run; `fleet_key`, what runs must share for it; `Order`, which
  examples an update sees;
- two engines: chains train as one batched model, of which a single run is the fleet of one; any other network trains
  module by module (decisions/0010-module-engine.md); `engine_of` says which a spec takes;
- the family `Optimizer`, whose members work on an `Update`; some wrap another one: they combine the gradients of groups
  of examples, or train in a random subspace (decisions/0019-wrapping-optimisers.md);
- the family `Projection`, each member of which draws a `LinearMap`, a random subspace to train in;
- in folders of their own, one per file: `optimizers`, `projections`, `schedules`, `moments`, `probes`, `interventions`;
- around the loop: `split_state` of a checkpoint, `example_of` a task, `environment`, `progress`, `keep_freed_memory`.

May import: `base`, `units`, `masks`, `edits`, `passes`, `scores`, `nets`, `tasks`.
To add an optimiser, projection, schedule, choice of moments, probe or intervention: one file in its folder.
"""

from surplus.training import interventions, moments, optimizers, probes, projections, schedules
from surplus.training.allocator import keep_freed_memory
from surplus.training.engine import engine_of
from surplus.training.environment import environment
from surplus.training.loop import Member, fleet_key, split_state, train_fleet
from surplus.training.optimizer import Optimizer, Update
from surplus.training.order import Order
from surplus.training.progress import progress
from surplus.training.projection import LinearMap, Projection
from surplus.training.recipes import RECIPES, recipe
from surplus.training.spec import From, Spec, Training
from surplus.training.state import example_of

__all__ = [
    "RECIPES",
    "From",
    "LinearMap",
    "Member",
    "Optimizer",
    "Order",
    "Projection",
    "Spec",
    "Training",
    "Update",
    "engine_of",
    "environment",
    "example_of",
    "fleet_key",
    "interventions",
    "keep_freed_memory",
    "moments",
    "optimizers",
    "probes",
    "progress",
    "projections",
    "recipe",
    "schedules",
    "split_state",
    "train_fleet",
]
