"""Autoencoders with transposed convolutions, one of them variational."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register
from zoo.initialisation import init_weights


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 12, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(12, 16, 4),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(16, 12, 4),
            nn.ReLU(),
            nn.ConvTranspose2d(12, 8, 3, stride=2, padding=1, output_padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, output_padding=1, groups=2),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 1),
            nn.Sigmoid(),
        )
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class VAE(nn.Module):
    def __init__(self, latent: int = 6):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.fc_mu = nn.Linear(8 * 4 * 4, latent)
        self.fc_logvar = nn.Linear(8 * 4 * 4, latent)
        self.fc_up = nn.Linear(latent, 8 * 4 * 4)
        self.deconv = nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1)

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        if not self.training:
            return mu
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = torch.flatten(F.relu(self.conv(x)), start_dim=1)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = self.reparameterize(mu, logvar)
        z = F.relu(self.fc_up(z)).view(-1, 8, 4, 4)
        return torch.tanh(self.deconv(z)), mu, logvar


@register("autoencoder")
def autoencoder():
    return Autoencoder(), torch.randn(2, 1, 16, 16)


@register("vae")
def vae():
    return VAE(), torch.randn(2, 1, 8, 8)
