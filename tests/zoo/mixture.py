"""A dense mixture of experts: a softmax gate weighs the outputs of all."""

import torch
from torch import Tensor, nn

from zoo import register


class Expert(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class MoE(nn.Module):
    def __init__(self, dim: int = 12, hidden: int = 16, num_experts: int = 3):
        super().__init__()
        self.num_experts = num_experts
        self.gate = nn.Linear(dim, num_experts)
        self.experts = nn.ModuleList([Expert(dim, hidden) for _ in range(num_experts)])

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.gate(x), dim=-1)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=1)
        return torch.sum(weights.unsqueeze(-1) * outputs, dim=1)


class MoENet(nn.Module):
    def __init__(self, num_classes: int = 5):
        super().__init__()
        self.inp = nn.Linear(8, 12)
        self.moe = MoE()
        self.out = nn.Linear(12, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.inp(x))
        return self.out(x + self.moe(x))


@register("mixture_of_experts")
def mixture_of_experts():
    return MoENet(), torch.randn(2, 8)
