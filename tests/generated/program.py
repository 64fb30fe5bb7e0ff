"""Programs: what Hypothesis draws. They print short, so that a failure can be read and typed in again."""

import dataclasses
from dataclasses import dataclass

from hypothesis import strategies as st

ACTIVATIONS = (
    *("relu", "gelu", "tanh", "sigmoid", "softplus", "bump", "cosine", "leaky", "shifted"),
    *("none", "in place"),
)
NORMS = ("none", "none", "batch", "layer", "group", "instance", "rms")


@dataclass(frozen=True, repr=False)
class Block:
    """One block: which, and how. What does not divide is rounded when the network is built."""

    kind: str
    width: int = 4
    groups: int = 1
    act: str = "relu"
    norm: str = "none"
    bias: bool = True
    form: int = 0
    """Which of the ways to write it."""
    inner: "tuple[tuple[Block, ...], ...]" = ()

    def __repr__(self) -> str:
        given = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in dataclasses.fields(self)
            if field.name != "kind" and getattr(self, field.name) != field.default
        ]
        return f"Block({', '.join([repr(self.kind), *given])})"


@dataclass(frozen=True)
class Program:
    """A whole network."""

    domain: str
    """`maps` (images) or `sequences`."""
    width: int
    """Channels of the image, or features of the first layer."""
    length: int
    """Side of the image, or length of the sequence."""
    blocks: tuple[Block, ...]
    end: int = 0
    seed: int = 0
    batch: int = 2


MAPS = (
    *("conv", "conv", "depthwise", "glu", "squeeze", "spatial gate", "norm", "pool", "transposed"),
    *("shuffle", "resize", "attention", "fold", "scale", "reuse", "activation", "split", "output"),
)
SEQUENCES = (
    *("linear", "linear", "mlp", "attention", "attention", "gated", "norm", "conv", "mix", "scale"),
    *("grouped", "reuse", "activation", "recurrent", "split", "multihead", "einsum", "output"),
)
NESTING = ("residual", "concat", "sum", "part", "product")


def block(kinds: tuple[str, ...], depth: int) -> st.SearchStrategy[Block]:
    """Draw one block, at most so deep."""
    plain = {
        "width": st.integers(1, 8),
        "groups": st.sampled_from([1, 1, 2, 3, 4]),
        "act": st.sampled_from(ACTIVATIONS),
        "norm": st.sampled_from(NORMS),
        "bias": st.booleans(),
        "form": st.integers(0, 7),
    }
    leaf = st.builds(Block, kind=st.sampled_from(kinds), **plain)
    if not depth:
        return leaf
    branch = st.lists(block(kinds, depth - 1), min_size=0, max_size=2).map(tuple)
    inner = st.lists(branch, min_size=1, max_size=3).map(tuple)
    nested = st.builds(Block, kind=st.sampled_from(NESTING), **plain, inner=inner)
    return st.one_of(leaf, leaf, nested)


def _programs(domain: str, kinds: tuple[str, ...]) -> st.SearchStrategy[Program]:
    return st.builds(
        Program,
        domain=st.just(domain),
        width=st.integers(1, 6),
        length=st.sampled_from([4, 6, 2, 1]),
        blocks=st.lists(block(kinds, 2), min_size=1, max_size=5).map(tuple),
        end=st.integers(0, 5),
        seed=st.integers(0, 3),
        batch=st.sampled_from([2, 3, 1]),
    )


def programs() -> st.SearchStrategy[Program]:
    """Draw a network of images or of sequences."""
    return st.one_of(_programs("maps", MAPS), _programs("sequences", SEQUENCES))
