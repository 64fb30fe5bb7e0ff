"""How a network takes its images: those of 32x32 would shrink to a point under reductions made for 224x224."""

from typing import Literal

from surplus.base import InvalidArgument

Stem = Literal["small", "large"]
SMALL = 64  # pixels: CIFAR has 32, ImageNet 224


def is_small(stem: Stem | None, input_shape: tuple[int, ...]) -> bool:
    """Say whether to leave out the first two reductions: as chosen, else by the size of the images.

    Raises:
        InvalidArgument: the inputs are no images, or there is no such stem.

    Example:
        >>> is_small(None, (3, 32, 32)), is_small(None, (3, 224, 224)), is_small("small", (3, 224, 224))
        (True, False, True)
    """
    check_images(input_shape)
    if stem not in (None, "small", "large"):
        raise InvalidArgument(
            f'`stem` is {stem!r}; it is "small", "large", or None to go by the size of the images.'
        )
    return min(input_shape[1:]) < SMALL if stem is None else stem == "small"


def check_images(input_shape: tuple[int, ...]) -> None:
    """Refuse inputs that are no images.

    Raises:
        InvalidArgument: there are not three axes.
    """
    if len(input_shape) != 3:
        raise InvalidArgument(
            f"The network takes images, (channels, height, width); the inputs have the shape {input_shape}."
        )
