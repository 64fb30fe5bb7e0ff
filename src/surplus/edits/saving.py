"""`save` and `load`: a model in one safetensors file, with the edits that made it."""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import nn

import surplus.nets
import surplus.tasks  # noqa: F401 - a bundle names its network and task, so all of them must be known
from surplus.base import CorruptFile, InvalidArgument, Net, Task, decode, encode
from surplus.edits.edits import Edits
from surplus.edits.replaying import repeat_
from surplus.edits.tensors import from_raw, to_raw
from surplus.store import read_bundle, write_bundle
from surplus.units import copied, recompute_


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """How to build the network that the edits began with."""

    net: Net
    input_shape: tuple[int, ...]
    num_classes: int
    task: Task | None = None
    """What the network learnt, so that it can be judged again."""

    def build(self) -> nn.Module:
        """Return the network before any edit, with weights that are to be replaced."""
        return self.net.build(self.input_shape, self.num_classes, seed=0)


def save(
    path: Path | str, model: nn.Module, edits: Edits | None = None, origin: Origin | None = None
) -> None:
    """Write a model's tensors, the edits that made it, and how its first architecture is built.

    Args:
        path: The file; it appears whole or not at all.
        model: The model.
        edits: What turned the original architecture into this one; None for a model that was not edited.
        origin: How the original is built; without it, `load` needs a fresh model.

    Raises:
        StorageFailure: the disk is full or the folder cannot be written.
    """
    tensors = {name: to_raw(tensor) for name, tensor in model.state_dict().items()}
    metadata = {
        "kind": "model",
        "edits": (edits or Edits()).to_json(),
        "origin": None if origin is None else encode(origin),
    }
    write_bundle(Path(path), tensors, metadata)


def load(path: Path | str, into: nn.Module | None = None) -> nn.Module:
    """Return the model of a bundle: build the original, replay the edits, load every tensor strictly.

    Args:
        path: A file that `save` wrote.
        into: A fresh model of the original architecture, which stays as it is. None builds it from the bundle.

    Raises:
        CorruptFile: the file is truncated, edited, or holds no model.
        InvalidArgument: `into` has another architecture, or is needed and was not given.
    """
    model, _, _ = load_with_edits(path, into)
    return model


def load_with_edits(
    path: Path | str, into: nn.Module | None = None
) -> tuple[nn.Module, Edits, Origin | None]:
    """Return the model of a bundle with the edits that made it and its origin; see `load`."""
    bundle = read_bundle(Path(path))
    if bundle.metadata.get("kind") != "model":
        raise CorruptFile(f"{path} is a bundle, but not that of a model.")
    try:
        edits = Edits.from_json(bundle.metadata["edits"])
        described = bundle.metadata["origin"]
    except (InvalidArgument, KeyError) as broken:
        raise CorruptFile(f"{path} does not say how its model was made: {broken}") from broken
    origin = None if described is None else decode(Origin, described, "origin")
    if into is None:
        if origin is None:
            raise InvalidArgument(
                f"{path} does not say how its model is built: pass a fresh one as `into=`."
            )
        into = origin.build()
    else:
        into = copied(into)
    repeat_(into, edits)
    tensors = OrderedDict((name, from_raw(raw)) for name, raw in bundle.tensors.items())
    own = into.state_dict(keep_vars=True)
    # Modules that know older layouts of their state must not take this one for such.
    vars(tensors)["_metadata"] = getattr(own, "_metadata", {})
    for name, tensor in own.items():
        if name in tensors:  # the values keep the type in which they were saved
            tensor.data = tensor.data.to(tensors[name].dtype)
    try:
        into.load_state_dict(tensors, strict=True)
    except RuntimeError as unlike:
        raise InvalidArgument(f"{path} does not fit this architecture: {unlike}") from unlike
    recompute_(into)
    return into, edits, origin
