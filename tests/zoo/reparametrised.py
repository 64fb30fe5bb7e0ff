"""Layers whose weight is computed: weight norm, and a mask of torch's own pruning."""

import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

from zoo import register


class WeightNormNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = weight_norm(nn.Conv1d(3, 12, 3, padding=1))
        self.conv2 = weight_norm(nn.Conv1d(12, 16, 3, padding=1))
        self.fc = weight_norm(nn.Linear(16, 10), dim=0)
        self.out = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        x = torch.relu(self.fc(x.mean(-1)))
        return self.out(x)


@register("weight_norm")
def weight_norm_net():
    return WeightNormNet(), torch.randn(2, 3, 10)


@register("prune_mask")
def prune_mask():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU())
    model.append(nn.Linear(12, 5))
    prune.random_unstructured(model[0], name="weight", amount=0.4)
    prune.ln_structured(model[2], name="weight", amount=0.25, n=2, dim=0)
    prune.l1_unstructured(model[2], name="bias", amount=3)
    return model, torch.randn(2, 8)
