"""What all tests share: one torch thread, one seed, small networks and data, and where real data lie."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import register_random, settings
from torch import Tensor, nn

import surplus.units.flow
from planted import image_part
from surplus.base import Parts

collect_ignore = [
    "asking.py",
    "flipping.py",
    "generated/fuzz.py",
    "measuring.py",
    "oracles",
    "planted.py",
    "reading.py",
    "registers.py",
    "running.py",
    "storing.py",
    "try_wheel.py",
]
surplus.units.flow.STRICT = True
torch.set_num_threads(1)
settings.register_profile("surplus", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("surplus")


class TorchRandom:
    """Torch's global stream as Hypothesis wants it, so that every example begins with the same draws."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


TORCH_RANDOM = TorchRandom()  # Hypothesis holds it weakly
register_random(TORCH_RANDOM)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Begin each test with the same draws, whichever ran before it."""
    torch.manual_seed(0)


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
