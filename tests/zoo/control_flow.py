"""Python control flow: on a flag of the module, on the shape of the data, over a list."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register


class FlaggedNet(nn.Module):
    def __init__(self, use_skip: bool = True, pool_above: int = 8, num_classes: int = 5):
        super().__init__()
        self.use_skip = use_skip
        self.pool_above = pool_above
        self.conv1 = nn.Conv2d(3, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 12, 3, padding=1)
        self.conv3 = nn.Conv2d(12, 16, 3, padding=1)
        self.unused = None
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        y = self.conv2(x)
        if self.use_skip:
            y = y + x
        x = F.relu(y)
        while x.shape[-1] > self.pool_above:
            x = F.max_pool2d(x, 2)
        if x.dim() == 4 and x.size(2) == x.size(3):
            x = F.relu(self.conv3(x)).mean((2, 3))
        else:
            x = F.relu(self.conv3(x)).amax((2, 3))
        if self.unused is not None:
            x = self.unused(x)
        return self.fc(x)


@register("control_flow")
def control_flow():
    return FlaggedNet(), torch.randn(2, 3, 16, 16)


@register("control_flow_other")
def control_flow_other():
    return FlaggedNet(use_skip=False), torch.randn(2, 3, 16, 12)
