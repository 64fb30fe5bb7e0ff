"""LeNet-300-100 and LeNet-5, narrow."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register


class LeNet300(nn.Module):
    def __init__(self, in_features: int = 64, num_classes: int = 10):
        super().__init__()
        self.fc1 = nn.Linear(in_features, 30)
        self.fc2 = nn.Linear(30, 16)
        self.fc3 = nn.Linear(16, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(x.size(0), -1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class LeNet5(nn.Module):
    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5, padding=2)
        self.conv2 = nn.Conv2d(8, 16, 5, padding=2)
        self.fc1 = nn.Linear(16 * 4 * 4, 32)
        self.fc2 = nn.Linear(32, 24)
        self.fc3 = nn.Linear(24, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.max_pool2d(torch.tanh(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = torch.tanh(self.fc1(x))
        return self.fc3(torch.tanh(self.fc2(x)))


@register("lenet_300_100")
def lenet_300_100():
    return LeNet300(), torch.randn(2, 1, 8, 8)


@register("lenet_5")
def lenet_5():
    return LeNet5(), torch.randn(2, 1, 16, 16)
