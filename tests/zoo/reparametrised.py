"""Layers whose weight is computed: normalised, orthogonal, by a module of one's own, or masked by torch's pruning."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils import spectral_norm as spectral_norm_by_hook
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

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


@register("prune_depthwise")
def prune_depthwise():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 16, 4),
    )
    for place in (0, 2, 4):
        prune.l1_unstructured(model[place], name="weight", amount=0.3)
    prune.random_unstructured(model[4], name="weight", amount=0.2)
    return model, torch.randn(2, 3, 6, 6)


def discriminator(norm):
    return nn.Sequential(
        norm(nn.Conv2d(3, 8, 3, padding=1)),
        nn.LeakyReLU(0.1),
        norm(nn.Conv2d(8, 12, 4, stride=2, padding=1)),
        nn.LeakyReLU(0.1),
        norm(nn.ConvTranspose2d(12, 6, 2, stride=2)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        norm(nn.Linear(6, 5)),
    )


@register("spectral_norm")
def spectral_norm_net():
    return discriminator(spectral_norm), torch.randn(2, 3, 8, 8)


@register("spectral_norm_by_hook")
def spectral_norm_by_hook_net():
    return discriminator(spectral_norm_by_hook), torch.randn(2, 3, 8, 8)


class Symmetric(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.triu() + weight.triu(1).transpose(-1, -2)


class Scaled(nn.Module):
    def __init__(self, num_rows: int):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(num_rows, 1) + 0.5)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale


class Squared(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight * weight.abs()


@register("parametrised")
def parametrised():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
    model.extend([nn.Linear(8, 10), nn.ReLU(), nn.Linear(10, 3)])
    parametrize.register_parametrization(model[0], "weight", Scaled(8))
    parametrize.register_parametrization(model[2], "weight", Symmetric())
    parametrize.register_parametrization(model[4], "weight", Squared())
    parametrize.register_parametrization(model[4], "weight", Scaled(10))
    parametrize.register_parametrization(model[4], "bias", Squared())
    parametrize.register_parametrization(model[6], "weight", Squared())
    return model, torch.randn(2, 6)


@register("orthogonal")
def orthogonal_net():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), orthogonal(nn.Linear(8, 8)), nn.ReLU())
    model.append(nn.Linear(8, 3))
    return model, torch.randn(2, 6)


class SpectralLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = spectral_norm(nn.LSTM(5, 8, batch_first=True), "weight_hh_l0")
        prune.l1_unstructured(self.rnn, "weight_ih_l0", 0.3)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0][:, -1])


@register("spectral_lstm")
def spectral_lstm():
    return SpectralLSTM(), torch.randn(2, 4, 5)
