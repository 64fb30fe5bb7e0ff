"""The common form of Conv-2, Conv-4 and Conv-6: pairs of 3x3 convolutions with pooling, then three dense layers."""

from torch import nn

from surplus.nets.layers import Chain, scaled


def conv_net(
    widths: tuple[int, ...],
    factor: float,
    bias: bool,
    input_shape: tuple[int, ...],
    num_classes: int,
    seed: int,
) -> nn.Sequential:
    """Build a pair of convolutions and a max-pool for each entry of `widths`, then 256-256-classes."""
    chain = Chain(input_shape, seed, bias=bias)
    for place, width in enumerate(widths):
        for number in (2 * place + 1, 2 * place + 2):
            chain.conv(f"conv{number}", scaled(width, factor))
            chain.relu(f"relu{number}")
        chain.pool(f"pool{place + 1}")
    for number in (1, 2):
        chain.linear(f"fc{number}", scaled(256, factor))
        chain.relu(f"relu_fc{number}")
    chain.linear("fc3", num_classes)
    return chain.build()
