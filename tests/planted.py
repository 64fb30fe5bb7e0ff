"""Networks and data whose truth is known, for every test to use."""

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from surplus.base import Net, Parts, Task, register
from surplus.nets import Chain, kaiming_
from surplus.tasks import ImagePart


def image_part(count: int, seed: int, shape: tuple[int, int, int] = (1, 4, 4)) -> ImagePart:
    """Return images whose class is the brightest of three stripes."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 120, (count, *shape), dtype=torch.uint8, generator=generator)
    targets = torch.randint(0, 3, (count,), generator=generator)
    for place, target in enumerate(targets.tolist()):
        images[place, :, :, target] += 130
    return ImagePart(
        images=images,
        targets=targets,
        changed=torch.zeros(count, dtype=torch.bool),
        mean=(0.4,) * shape[0],
        std=(0.3,) * shape[0],
    )


def contrary(part: ImagePart) -> ImagePart:
    """Return the part with every label moved on to the next class: what is good on one is bad on the other."""
    return dataclasses.replace(part, targets=(part.targets + 1) % 3)


@register("stripes")
@dataclass(frozen=True, kw_only=True, slots=True)
class Stripes(Task):
    """Three classes of striped 4 x 4 images, made on the spot."""

    num_train: int = 120

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (1, 4, 4)

    @property
    def num_classes(self) -> int:
        return 3

    @property
    def content_hash(self) -> str:
        return "stripes"

    def load(self, folder: Path | None = None, download: bool = False) -> Parts:
        return Parts(
            image_part(self.num_train, seed=1), image_part(60, seed=2), image_part(60, seed=3)
        )


@register("tiny-mlp")
@dataclass(frozen=True, kw_only=True, slots=True)
class TinyMLP(Net):
    """Dense layers 8-6-classes."""

    references: ClassVar = ()
    dropout: float = 0.0
    bias: bool = True

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Sequential:
        chain = Chain(input_shape, seed, bias=self.bias)
        chain.linear("fc1", 8)
        chain.relu("relu1")
        chain.dropout("dropout1", self.dropout)
        chain.linear("fc2", 6)
        chain.relu("relu2")
        chain.linear("fc3", num_classes)
        return chain.build()


@register("tiny-conv")
@dataclass(frozen=True, kw_only=True, slots=True)
class TinyConv(Net):
    """Two convolutions with batch normalisation and pooling, then dense 5-classes."""

    references: ClassVar = ()

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Sequential:
        chain = Chain(input_shape, seed, bias=True)
        chain.conv("conv1", 4)
        chain.batch_norm("bn1")
        chain.relu("relu1")
        chain.conv("conv2", 3)
        chain.relu("relu2")
        chain.pool("pool1")
        chain.linear("fc1", 5)
        chain.relu("relu_fc1")
        chain.linear("fc2", num_classes)
        return chain.build()


class Residual(nn.Module):
    """A convolution, a residual block, and two dense layers with a dropout that is no layer."""

    def __init__(self, num_channels: int, num_features: int, num_classes: int, dropout: float):
        super().__init__()
        self.conv1 = nn.Conv2d(num_channels, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.fc1 = nn.Linear(4 * num_features, 6)
        self.fc2 = nn.Linear(6, num_classes)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu_(self.bn1(self.conv1(x)))
        x = torch.relu(x + self.conv2(x)).flatten(1)
        x = torch.dropout(torch.relu(self.fc1(x)), self.dropout, self.training)
        return self.fc2(x)


@register("tiny-residual")
@dataclass(frozen=True, kw_only=True, slots=True)
class TinyResidual(Net):
    """A network that is no chain."""

    references: ClassVar = ()
    dropout: float = 0.0

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
        channels, height, width = input_shape
        model = Residual(channels, height * width, num_classes, self.dropout)
        kaiming_(model, seed)
        return model


def batches(
    count: int, shape: tuple[int, ...], classes: int, dtype: torch.dtype = torch.float64
) -> list[tuple[Tensor, Tensor]]:
    """Return two batches of random inputs and labels."""
    generator = torch.Generator().manual_seed(5)
    return [
        (
            torch.randn(count, *shape, generator=generator, dtype=dtype),
            torch.randint(0, classes, (count,), generator=generator),
        )
        for _ in range(2)
    ]


def shaken(model: nn.Module, seed: int = 0) -> nn.Module:
    """Return a float64 copy whose biases and normalisations are no longer at their trivial initial values."""
    model = copy.deepcopy(model).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            bias = getattr(module, "bias", None)
            if isinstance(bias, Tensor):
                bias.copy_(0.5 * torch.randn(bias.shape, generator=generator))
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.copy_(torch.randn(module.num_features, generator=generator))
                module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
                if module.weight is not None:
                    module.weight.copy_(torch.randn(module.num_features, generator=generator))
    return model.eval()


def permuted(model: nn.Sequential, order: Tensor) -> nn.Sequential:
    """Return a dense chain with the units of its first layer in another order."""
    changed = copy.deepcopy(model)
    linears = [module for module in changed if isinstance(module, nn.Linear)]
    with torch.no_grad():
        linears[0].weight.copy_(linears[0].weight[order])
        linears[0].bias.copy_(linears[0].bias[order])
        linears[1].weight.copy_(linears[1].weight[:, order])
    return changed
