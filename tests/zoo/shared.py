"""Parts used more than once: a convolution applied twice, an encoder with two inputs."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register
from zoo.initialisation import init_weights


class Recurrent(nn.Module):
    """Applies one convolution again and again, as recursive super-resolution does."""

    def __init__(self, num_recursions: int = 2):
        super().__init__()
        self.num_recursions = num_recursions
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        self.conv = nn.Conv2d(12, 12, 3, padding=1)
        self.head = nn.Linear(12, 5)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for _ in range(self.num_recursions):
            x = F.relu(self.conv(x))
        return self.head(x.mean((2, 3)))


class Siamese(nn.Module):
    def __init__(self, embedding: int = 12):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * 4 * 4, embedding),
            nn.Sigmoid(),
        )
        self.fc = nn.Linear(embedding, 1)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        out1 = self.encoder(x1)
        out2 = self.encoder(x2)
        return torch.sigmoid(self.fc(torch.abs(out1 - out2)))


class SharedWeights(nn.Module):
    """Two layers that hold one weight and two biases."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(12, 12)
        self.fc2 = nn.Linear(12, 12)
        self.fc2.weight = self.fc1.weight
        self.inp = nn.Linear(6, 12)
        self.out = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.inp(x))
        x = torch.relu(self.fc2(torch.relu(self.fc1(x))))
        return self.out(x)


@register("reused_conv")
def reused_conv():
    return Recurrent(), torch.randn(2, 3, 8, 8)


@register("siamese")
def siamese():
    return Siamese(), (torch.randn(2, 1, 8, 8), torch.randn(2, 1, 8, 8))


@register("shared_weight")
def shared_weight():
    return SharedWeights(), torch.randn(2, 6)
