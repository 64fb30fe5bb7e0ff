"""Convolutions over sequences: a classifier, and a temporal net with causal dilation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register


class Chomp1d(nn.Module):
    def __init__(self, chomp_size: int):
        super().__init__()
        self.chomp_size = chomp_size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.chomp_size].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, n_inputs, n_outputs, kernel_size, dilation, dropout=0.2):
        super().__init__()
        padding = (kernel_size - 1) * dilation
        self.net = nn.Sequential(
            nn.Conv1d(n_inputs, n_outputs, kernel_size, padding=padding, dilation=dilation),
            Chomp1d(padding),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(n_outputs, n_outputs, kernel_size, padding=padding, dilation=dilation),
            Chomp1d(padding),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.downsample = nn.Conv1d(n_inputs, n_outputs, 1) if n_inputs != n_outputs else None
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        res = x if self.downsample is None else self.downsample(x)
        return self.relu(out + res)


class TCN(nn.Module):
    def __init__(self, input_size: int = 4, num_classes: int = 5):
        super().__init__()
        channels = [8, 12, 12]
        layers = []
        for i, out_channels in enumerate(channels):
            in_channels = input_size if i == 0 else channels[i - 1]
            layers.append(TemporalBlock(in_channels, out_channels, 3, dilation=2**i))
        self.tcn = nn.Sequential(*layers)
        self.linear = nn.Linear(channels[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.tcn(x)[:, :, -1])


class TextCNN(nn.Module):
    """Kim's sentence classifier: several kernel sizes, largest over time, concatenated."""

    def __init__(self, vocab: int = 20, embed: int = 12, kernels=(2, 3, 4), n: int = 8):
        super().__init__()
        self.embedding = nn.Embedding(vocab, embed)
        self.convs = nn.ModuleList([nn.Conv1d(embed, n, k) for k in kernels])
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(len(kernels) * n, 5)

    def forward(self, text: Tensor) -> Tensor:
        embedded = self.embedding(text).permute(0, 2, 1)
        conved = [F.relu(conv(embedded)) for conv in self.convs]
        pooled = [F.max_pool1d(conv, conv.shape[2]).squeeze(2) for conv in conved]
        return self.fc(self.dropout(torch.cat(pooled, dim=1)))


@register("conv1d")
def conv1d():
    model = nn.Sequential(
        nn.Conv1d(4, 8, 5, padding=2),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(8, 12, 3, padding=1, stride=2),
        nn.BatchNorm1d(12),
        nn.ELU(),
        nn.AdaptiveAvgPool1d(2),
        nn.Flatten(),
        nn.Linear(24, 5),
    )
    return model, torch.randn(2, 4, 24)


@register("tcn")
def tcn():
    return TCN(), torch.randn(2, 4, 16)


@register("text_cnn")
def text_cnn():
    return TextCNN(), torch.randint(0, 20, (2, 7))
