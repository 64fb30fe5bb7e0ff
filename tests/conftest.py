"""What all tests share: one torch thread, small networks and data, and where real data lie."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn

from planted import image_part
from surplus.base import Parts

collect_ignore = [
    "oracles",
    "planted.py",
    "registers.py",
    "running.py",
    "storing.py",
    "try_wheel.py",
]
torch.set_num_threads(1)
settings.register_profile("surplus", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("surplus")


@pytest.fixture
def example() -> Tensor:
    return torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def mlp() -> nn.Sequential:
    """Return a dense chain 6-8-5-3 in float64 with random biases."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3)
    ).double()


@pytest.fixture
def parts() -> Parts:
    """Return a small image task with labels that can be learnt."""
    return Parts(image_part(120, seed=1), image_part(60, seed=2), image_part(60, seed=3))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the full data sets, for tests that need them."""
    folder = os.environ.get("SURPLUS_DATA")
    if not folder:
        pytest.skip("set SURPLUS_DATA to the folder of the full data sets to run this test")
    return Path(folder)
