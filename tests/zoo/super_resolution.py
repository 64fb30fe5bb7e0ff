"""Super-resolution: residual blocks, then pixel shuffle, after EDSR."""

import torch
from torch import Tensor, nn

from zoo import register


class ResBlock(nn.Module):
    def __init__(self, n_feats: int, res_scale: float = 0.1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_feats, n_feats, 3, padding=1),
            nn.ReLU(True),
            nn.Conv2d(n_feats, n_feats, 3, padding=1),
        )
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        res = self.body(x).mul(self.res_scale)
        res += x
        return res


class EDSR(nn.Module):
    def __init__(self, n_feats: int = 12, n_resblocks: int = 2, scale: int = 2):
        super().__init__()
        self.head = nn.Conv2d(3, n_feats, 3, padding=1)
        m_body = [ResBlock(n_feats, res_scale=1) for _ in range(n_resblocks)]
        self.body = nn.Sequential(*m_body, nn.Conv2d(n_feats, n_feats, 3, padding=1))
        self.tail = nn.Sequential(
            nn.Conv2d(n_feats, n_feats * scale**2, 3, padding=1),
            nn.PixelShuffle(scale),
            nn.Conv2d(n_feats, 3, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        res = self.body(x)
        res += x
        return self.tail(res)


@register("pixel_shuffle")
def pixel_shuffle():
    return EDSR(), torch.randn(2, 3, 10, 10)
