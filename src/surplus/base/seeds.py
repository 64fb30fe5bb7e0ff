"""Named random streams: every draw is a function of the seed and of what it is for."""

import hashlib


def derive(seed: int, *path: str | int) -> int:
    """Return the 63-bit seed of the stream that `path` names under `seed`.

    Streams are stateless: the batch order of epoch 7 depends on the seed and on the words ("order", 7), not on
    what was drawn before. A resumed or forked run therefore needs no generator state, and resampling one layer's
    initial weights leaves the others as they were.

    Example:
        >>> derive(0, "order", 7) == derive(0, "order", 7)
        True
        >>> derive(0, "order", 7) == derive(0, "order", 8)
        False
    """
    text = "/".join([str(seed), *(str(part) for part in path)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
