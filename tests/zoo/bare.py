"""Bare parameters: in torch.einsum, and with the operators @ and +."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo import register


class EinsumMLP(nn.Module):
    def __init__(self, d_model: int = 8, d_mlp: int = 16, d_out: int = 5):
        super().__init__()
        self.W_in = nn.Parameter(torch.randn(d_model, d_mlp) / math.sqrt(d_model))
        self.b_in = nn.Parameter(torch.zeros(d_mlp))
        self.W_out = nn.Parameter(torch.randn(d_mlp, d_out) / math.sqrt(d_mlp))
        self.b_out = nn.Parameter(torch.zeros(d_out))

    def forward(self, x: Tensor) -> Tensor:
        pre = torch.einsum("bpd,dm->bpm", x, self.W_in) + self.b_in
        return torch.einsum("bpm,mo->bpo", torch.relu(pre), self.W_out) + self.b_out


class EinsumAttention(nn.Module):
    """Attention with one matrix per head, as in TransformerLens."""

    def __init__(self, d_model: int = 12, n_heads: int = 3, d_head: int = 5):
        super().__init__()
        self.d_head = d_head
        scale = 1 / math.sqrt(d_model)
        self.W_Q = nn.Parameter(torch.randn(n_heads, d_model, d_head) * scale)
        self.W_K = nn.Parameter(torch.randn(n_heads, d_model, d_head) * scale)
        self.W_V = nn.Parameter(torch.randn(n_heads, d_model, d_head) * scale)
        self.W_O = nn.Parameter(torch.randn(n_heads, d_head, d_model) * scale)
        self.b_O = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        q = torch.einsum("bpd,hde->bphe", x, self.W_Q)
        k = torch.einsum("bpd,hde->bphe", x, self.W_K)
        v = torch.einsum("bpd,hde->bphe", x, self.W_V)
        scores = torch.einsum("bqhe,bkhe->bhqk", q, k) / math.sqrt(self.d_head)
        pattern = scores.softmax(-1)
        z = torch.einsum("bhqk,bkhe->bqhe", pattern, v)
        return x + torch.einsum("bqhe,hed->bqd", z, self.W_O) + self.b_O


class MatmulMLP(nn.Module):
    def __init__(self, sizes: tuple[int, ...] = (8, 16, 12, 5)):
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(a, b) / math.sqrt(a)) for a, b in pairwise(sizes)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(b)) for b in sizes[1:])

    def forward(self, x: Tensor) -> Tensor:
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias
            if i < len(self.weights) - 1:
                x = torch.relu(x)
        return x


@register("einsum_mlp")
def einsum_mlp():
    return EinsumMLP(), torch.randn(2, 5, 8)


@register("einsum_attention")
def einsum_attention():
    return nn.Sequential(EinsumAttention(), nn.Linear(12, 4)), torch.randn(2, 5, 12)


@register("matmul_mlp")
def matmul_mlp():
    return MatmulMLP(), torch.randn(2, 8)
