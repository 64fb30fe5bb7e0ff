"""FiLM: a condition scales and shifts the channels of a convolutional net."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register


class FiLMBlock(nn.Module):
    def __init__(self, channels: int, cond_dim: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels, affine=False)
        self.film = nn.Linear(cond_dim, 2 * channels)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        identity = F.relu(self.conv1(x))
        out = self.bn(self.conv2(identity))
        gamma, beta = self.film(cond).chunk(2, dim=1)
        out = (1 + gamma[:, :, None, None]) * out + beta.unsqueeze(2).unsqueeze(3)
        return F.relu(out) + identity


class FiLMNet(nn.Module):
    def __init__(self, num_questions: int = 7, cond_dim: int = 12, channels: int = 12):
        super().__init__()
        self.embed = nn.Embedding(num_questions, cond_dim)
        self.mlp = nn.Sequential(nn.Linear(cond_dim, 16), nn.SiLU(), nn.Linear(16, cond_dim))
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(FiLMBlock(channels, cond_dim) for _ in range(2))
        self.classifier = nn.Linear(channels, 5)

    def forward(self, image: Tensor, question: Tensor) -> Tensor:
        cond = self.mlp(self.embed(question))
        x = self.stem(image)
        for block in self.blocks:
            x = block(x, cond)
        return self.classifier(x.amax(dim=(2, 3)))


@register("film")
def film():
    return FiLMNet(), {"image": torch.randn(2, 3, 12, 12), "question": torch.tensor([1, 4])}
