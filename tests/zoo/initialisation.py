"""The initialisation of convolutional nets, which keeps the signal alive through many layers."""

from torch import nn


def init_weights(module: nn.Module) -> None:
    """Apply with `model.apply(init_weights)`."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="linear")
