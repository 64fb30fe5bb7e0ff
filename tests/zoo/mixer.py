"""MLP-Mixer, and gMLP with its spatial gating unit."""

import torch
from torch import Tensor, nn

from zoo import register


class Mlp(nn.Module):
    def __init__(self, in_features: int, hidden_features: int, drop: float = 0.1):
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.act = nn.GELU()
        self.drop1 = nn.Dropout(drop)
        self.fc2 = nn.Linear(hidden_features, in_features)
        self.drop2 = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop1(self.act(self.fc1(x)))
        return self.drop2(self.fc2(x))


class MixerBlock(nn.Module):
    def __init__(self, dim: int, seq_len: int, mlp_ratio: tuple[float, float] = (0.5, 2.0)):
        super().__init__()
        tokens_dim, channels_dim = [int(x * dim) for x in mlp_ratio]
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp_tokens = Mlp(seq_len, tokens_dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp_channels = Mlp(dim, channels_dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mlp_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.mlp_channels(self.norm2(x))


class SpatialGatingUnit(nn.Module):
    def __init__(self, dim: int, seq_len: int):
        super().__init__()
        gate_dim = dim // 2
        self.norm = nn.LayerNorm(gate_dim)
        self.proj = nn.Linear(seq_len, seq_len)

    def forward(self, x: Tensor) -> Tensor:
        u, v = x.chunk(2, dim=-1)
        v = self.norm(v)
        v = self.proj(v.transpose(-1, -2))
        return u * v.transpose(-1, -2)


class SpatialGatingBlock(nn.Module):
    def __init__(self, dim: int, seq_len: int, mlp_ratio: int = 2):
        super().__init__()
        channel_dim = dim * mlp_ratio
        self.norm = nn.LayerNorm(dim)
        self.channel_proj1 = nn.Linear(dim, channel_dim)
        self.act = nn.GELU()
        self.sgu = SpatialGatingUnit(channel_dim, seq_len)
        self.channel_proj2 = nn.Linear(channel_dim // 2, dim)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        x = self.act(self.channel_proj1(self.norm(x)))
        return shortcut + self.channel_proj2(self.sgu(x))


class MlpMixer(nn.Module):
    def __init__(self, block, img_size=12, patch_size=4, dim=16, depth=2, num_classes=5):
        super().__init__()
        num_patches = (img_size // patch_size) ** 2
        self.stem = nn.Conv2d(3, dim, kernel_size=patch_size, stride=patch_size)
        self.blocks = nn.Sequential(*[block(dim, num_patches) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        x = self.blocks(x)
        x = self.norm(x)
        return self.head(x.mean(dim=1))


@register("mlp_mixer")
def mlp_mixer():
    return MlpMixer(MixerBlock), torch.randn(2, 3, 12, 12)


@register("gmlp")
def gmlp():
    return MlpMixer(SpatialGatingBlock), torch.randn(2, 3, 12, 12)
