"""The common form of the VGG networks for 32x32 images."""

from torch import nn

from surplus.nets.layers import Chain, scaled


def vgg(
    stages: tuple[tuple[int, ...], ...],
    factor: float,
    bias: bool,
    batch_norm: bool,
    dropout: float,
    input_shape: tuple[int, ...],
    num_classes: int,
    seed: int,
) -> nn.Sequential:
    """Build stages of 3x3 convolutions, each closed by a max-pool, then dense 512-512-classes."""
    chain = Chain(input_shape, seed, bias=bias)
    number = 0
    for place, widths in enumerate(stages, start=1):
        for width in widths:
            number += 1
            chain.conv(f"conv{number}", scaled(width, factor))
            if batch_norm:
                chain.batch_norm(f"bn{number}")
            chain.relu(f"relu{number}")
        chain.pool(f"pool{place}")
    for place in (1, 2):
        chain.dropout(f"dropout{place}", dropout)
        chain.linear(f"fc{place}", scaled(512, factor))
        chain.relu(f"relu_fc{place}")
    chain.linear("fc3", num_classes)
    return chain.build()
