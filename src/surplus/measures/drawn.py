"""What a number was over several draws."""

from collections.abc import Sequence

import torch

from surplus.measures.finding import Finding


def of_draws(quantity: str, values: Sequence[float | int], seed: int) -> Finding:
    """Return the median of draws with the range of their central 95 %.

    Example:
        >>> found = of_draws("alpha", [2.0, 4.0, 3.0], seed=1)
        >>> found.value, found.n, found.seed
        (3.0, 3, 1)
    """
    ends = torch.tensor([0.025, 0.5, 0.975], dtype=torch.float64)
    low, middle, high = torch.tensor(values, dtype=torch.float64).quantile(ends).tolist()
    return Finding(quantity=quantity, value=middle, lower=low, upper=high, n=len(values), seed=seed)
