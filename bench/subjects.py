"""Networks for `cutting.py`: those of the tests, random ones, and some that grow."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, Phase, given, seed, settings
from torch import Tensor, nn

from surplus.nets import VGG19BN, MobileNetV2, ResNetCIFAR

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from generated.comparing import outputs
from generated.network import build as build_program
from generated.program import Program, programs
from zoo import ZOO, build

Made = tuple[nn.Module, Any]


def zoo() -> Iterator[tuple[str, Callable[[], Made]]]:
    """Yield the networks of the tests."""
    for name in ZOO:
        yield name, lambda name=name: build(name)


def generated(count: int) -> Iterator[tuple[str, Callable[[], Made]]]:
    """Yield random networks with finite outputs, always the same."""
    drawn: list[Program] = []

    @seed(0)
    @settings(
        max_examples=2 * count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def draw(program: Program) -> None:
        if all(bool(each.isfinite().all()) for each in outputs(*build_program(program))):
            drawn.append(program)

    draw()
    for place, program in enumerate(dict.fromkeys(drawn)):
        if place < count:
            yield f"random {place}", lambda program=program: build_program(program)


class Block(nn.Module):
    """A transformer block, as in ViT."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.num_heads, self.head_dim = num_heads, width // num_heads

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        batch, length, _ = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, length, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class ViT(nn.Module):
    """ViT-Base by default: width 768, 12 blocks, 196 tokens."""

    def __init__(self, width: int = 768, depth: int = 12, num_heads: int = 12) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 16, 16)
        self.position = nn.Parameter(0.02 * torch.randn(1, 196, width))
        self.blocks = nn.Sequential(*[Block(width, num_heads) for _ in range(depth)])
        self.head = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        x = self.patch(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.blocks(x).mean(1))


class DenseBlock(nn.Module):
    """Convolutions that each read all that came before."""

    def __init__(self, depth: int, growth: int = 12) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, growth, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv2d(growth * (place + 1), growth, 3, padding=1) for place in range(depth)
        )
        self.head = nn.Linear(growth * (depth + 1), 10)

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        found = [self.stem(x)]
        for layer in self.layers:
            found.append(F.relu(layer(torch.cat(found, 1))))
        return self.head(torch.cat(found, 1).mean((2, 3)))


def wide(width: int) -> nn.Module:
    """Return a dense network with one wide layer."""
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


GROWING: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ViT, width 768, 12 blocks": (ViT, (1, 3, 224, 224)),
    "dense block of 8": (lambda: DenseBlock(8), (1, 3, 16, 16)),
    "dense block of 16": (lambda: DenseBlock(16), (1, 3, 16, 16)),
    "dense block of 32": (lambda: DenseBlock(32), (1, 3, 16, 16)),
    "wide layer of 2,048": (lambda: wide(2048), (1, 64)),
    "wide layer of 8,192": (lambda: wide(8192), (1, 64)),
}
TIMED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ResNet-20": (lambda: ResNetCIFAR(depth=20).build((3, 32, 32), 10, 0), (8, 3, 32, 32)),
    "ResNet-56": (lambda: ResNetCIFAR(depth=56).build((3, 32, 32), 10, 0), (8, 3, 32, 32)),
    "VGG-19 with batch norm": (lambda: VGG19BN().build((3, 32, 32), 10, 0), (8, 3, 32, 32)),
    "MobileNet-v2": (lambda: MobileNetV2().build((3, 32, 32), 10, 0), (8, 3, 32, 32)),
    "ViT, width 192, 6 blocks": (lambda: ViT(192, 6, 3), (8, 3, 224, 224)),
}
