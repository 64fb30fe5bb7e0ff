"""Deep MLPs: highway, residual with layer norm, and a product of two branches."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register


class Highway(nn.Module):
    def __init__(self, size: int, num_layers: int):
        super().__init__()
        self.num_layers = num_layers
        self.nonlinear = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        self.linear = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        self.gate = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in range(self.num_layers):
            gate = torch.sigmoid(self.gate[layer](x))
            nonlinear = F.relu(self.nonlinear[layer](x))
            linear = self.linear[layer](x)
            x = gate * nonlinear + (1 - gate) * linear
        return x


class HighwayCarry(nn.Module):
    """The original highway layer, which carries its input."""

    def __init__(self, size: int):
        super().__init__()
        self.plain = nn.Linear(size, size)
        self.gate = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        t = torch.sigmoid(self.gate(x))
        return torch.tanh(self.plain(x)) * t + x * (1.0 - t)


class ResidualMLP(nn.Module):
    def __init__(self, d_in=10, d=16, d_hidden=24, num_blocks=4, d_out=5, dropout=0.1):
        super().__init__()
        self.input = nn.Linear(d_in, d)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(d),
                nn.Linear(d, d_hidden),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(d_hidden, d),
            )
            for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, d_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.input(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(F.relu(self.norm(x)))


class ProductNet(nn.Module):
    def __init__(self, d_in: int = 10, d: int = 16, d_out: int = 5):
        super().__init__()
        self.left = nn.Linear(d_in, d)
        self.right = nn.Linear(d_in, d)
        self.inner = nn.Linear(d, d)
        self.out = nn.Linear(d, d_out)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.sin(self.left(x)) * self.right(x)
        x = self.inner(x) ** 2 * x
        return self.out(x)


@register("highway")
def highway():
    model = nn.Sequential(nn.Linear(10, 16), Highway(16, 2), HighwayCarry(16), nn.Linear(16, 5))
    return model, torch.randn(2, 10)


@register("residual_mlp")
def residual_mlp():
    return ResidualMLP(), torch.randn(2, 10)


@register("product_net")
def product_net():
    return ProductNet(), torch.randn(2, 10)
