"""What is kept: masks over units or weights, scores to choose by, and enforcing a mask.

What lives here: `Mask` and its algebra; `Scores`; `keep`, which turns scores into a mask by exact counts; `enforce`,
which zeroes what a mask removes, and `enforce_`, which does so in place; `on_weights`, which entries those are.
May import: `base`, `units`.
To add a way to spread sparsity over layers: extend `keep` beside "layer" and "model".
"""

from surplus.masks.enforcing import enforce, enforce_, on_weights
from surplus.masks.keeping import keep
from surplus.masks.mask import Mask
from surplus.masks.scores import Scores

__all__ = ["Mask", "Scores", "enforce", "enforce_", "keep", "on_weights"]
