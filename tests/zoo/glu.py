"""Gated MLPs: F.glu on a joint projection, an explicit chunk, and two separate projections."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register


class GLUMLP(nn.Module):
    def __init__(self, dim: int = 12, hidden: int = 20, num_classes: int = 5):
        super().__init__()
        self.fc1 = nn.Linear(dim, 2 * hidden)
        self.fc2 = nn.Linear(hidden, 2 * hidden)
        self.fc3 = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.glu(self.fc1(x), dim=-1)
        x = F.glu(self.fc2(x), dim=-1)
        return self.fc3(x)


class ChunkedMLP(nn.Module):
    """SwiGLU from one projection, as in timm's SwiGLUPacked."""

    def __init__(self, dim: int = 12, hidden: int = 20, num_classes: int = 5):
        super().__init__()
        self.w12 = nn.Linear(dim, 2 * hidden)
        self.norm = nn.LayerNorm(hidden)
        self.w3 = nn.Linear(hidden, dim)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = self.w12(x).chunk(2, dim=-1)
        x = x + self.w3(self.norm(F.silu(x1) * x2))
        return self.head(x)


class GEGLU(nn.Module):
    """The gate of diffusers: one projection, chunked, GELU on the second half."""

    def __init__(self, dim_in: int, dim_out: int):
        super().__init__()
        self.proj = nn.Linear(dim_in, dim_out * 2)

    def forward(self, hidden_states: Tensor) -> Tensor:
        hidden_states, gate = self.proj(hidden_states).chunk(2, dim=-1)
        return hidden_states * F.gelu(gate)


@register("glu_mlp")
def glu_mlp():
    return GLUMLP(), torch.randn(2, 12)


@register("glu_chunk")
def glu_chunk():
    return ChunkedMLP(), torch.randn(2, 12)


@register("geglu")
def geglu():
    model = nn.Sequential(GEGLU(12, 20), nn.Dropout(0.1), nn.Linear(20, 5))
    return model, torch.randn(2, 12)
