"""Attention without a transformer: pooling by softmax weights, and a Perceiver's latents."""

import torch
from torch import Tensor, nn

from zoo import register


class AttentionPooling(nn.Module):
    """Gated attention pooling, as for bags of instances."""

    def __init__(self, in_dim: int = 6, hidden: int = 12, attn: int = 8, num_classes: int = 4):
        super().__init__()
        self.feature = nn.Sequential(nn.Linear(in_dim, hidden), nn.ReLU())
        self.attention_V = nn.Linear(hidden, attn)
        self.attention_U = nn.Linear(hidden, attn)
        self.attention_weights = nn.Linear(attn, 1)
        self.classifier = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.feature(x)
        a = torch.tanh(self.attention_V(h)) * torch.sigmoid(self.attention_U(h))
        a = torch.softmax(self.attention_weights(a), dim=1)
        pooled = torch.bmm(a.transpose(1, 2), h).squeeze(1)
        return self.classifier(pooled)


class PerceiverAttention(nn.Module):
    def __init__(self, query_dim: int, context_dim: int, heads: int = 3, dim_head: int = 4):
        super().__init__()
        inner_dim = dim_head * heads
        self.scale = dim_head**-0.5
        self.heads = heads
        self.norm = nn.LayerNorm(query_dim)
        self.norm_context = nn.LayerNorm(context_dim)
        self.to_q = nn.Linear(query_dim, inner_dim, bias=False)
        self.to_kv = nn.Linear(context_dim, inner_dim * 2, bias=False)
        self.to_out = nn.Linear(inner_dim, query_dim)

    def split_heads(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        return x.reshape(b, n, self.heads, d // self.heads).permute(0, 2, 1, 3)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q = self.to_q(self.norm(x))
        k, v = self.to_kv(self.norm_context(context)).chunk(2, dim=-1)
        q, k, v = map(self.split_heads, (q, k, v))
        sim = torch.einsum("bhid,bhjd->bhij", q, k) * self.scale
        attn = sim.softmax(dim=-1)
        out = torch.einsum("bhij,bhjd->bhid", attn, v)
        out = out.permute(0, 2, 1, 3).flatten(2)
        return self.to_out(out)


class Perceiver(nn.Module):
    def __init__(self, num_latents=4, latent_dim=10, input_dim=6, depth=2, num_classes=4):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(num_latents, latent_dim))
        self.cross = nn.ModuleList(PerceiverAttention(latent_dim, input_dim) for _ in range(depth))
        self.ff = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(latent_dim),
                nn.Linear(latent_dim, 20),
                nn.GELU(),
                nn.Linear(20, latent_dim),
            )
            for _ in range(depth)
        )
        self.to_logits = nn.Sequential(nn.LayerNorm(latent_dim), nn.Linear(latent_dim, num_classes))

    def forward(self, data: Tensor) -> Tensor:
        x = self.latents.unsqueeze(0).repeat(data.shape[0], 1, 1)
        for cross_attn, cross_ff in zip(self.cross, self.ff, strict=True):
            x = cross_attn(x, context=data) + x
            x = cross_ff(x) + x
        return self.to_logits(x.mean(dim=-2))


@register("attention_pooling")
def attention_pooling():
    return AttentionPooling(), torch.randn(2, 5, 6)


@register("perceiver")
def perceiver():
    return Perceiver(), torch.randn(2, 7, 6)
