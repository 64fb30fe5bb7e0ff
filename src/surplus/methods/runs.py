"""From a run's folder back to objects: its spec, its networks, its units."""

from torch import nn

from surplus.base import decode, fingerprint
from surplus.edits import Origin, replay_
from surplus.masks import Mask
from surplus.methods.context import Context
from surplus.store import Run
from surplus.training import Spec, engine_of, example_of, split_state
from surplus.units import Units, find_units


def address(spec: Spec) -> str:
    """Return the fingerprint under which runs of a spec are kept."""
    return fingerprint(spec, **identity(spec))


def identity(spec: Spec) -> dict[str, str]:
    """Return what addresses a run besides the fields of its spec: the data's contents, and the engine.

    Chains train on the fleet engine, which is the neutral choice and goes without saying.
    """
    engine = engine_of(spec)
    named = {} if engine == "fleet" else {"engine": engine}
    return {"data": spec.task.content_hash, **named}


def spec_of(run: Run) -> Spec:
    """Return the spec of a run.

    Raises:
        CorruptFile: `spec.json` is missing, truncated or edited.
        UnknownName: it names a net, task or other member that this version of Surplus does not have.
    """
    return decode(Spec, run.spec()["spec"])


def origin_of(spec: Spec) -> Origin:
    """Return how the network of a spec is built before any edit."""
    return Origin(
        net=spec.net,
        input_shape=spec.task.input_shape,
        num_classes=spec.task.num_classes,
        task=spec.task,
    )


def model_of(run: Run, step: int | None = None) -> tuple[nn.Module, Mask | None]:
    """Return the network of a run at a snapshot, in evaluation mode, and the mask it kept to.

    Args:
        run: The run.
        step: The snapshot's step; None takes the last.

    Raises:
        UnknownName: there is no snapshot at that step, or none at all.
        CorruptFile: the snapshot is truncated or edited.
    """
    spec = spec_of(run)
    steps = run.snapshots()
    bundle = run.snapshot(max(steps, default=-1) if step is None else step)
    weights, mask, _ = split_state(bundle.tensors)
    model = origin_of(spec).build()
    if spec.start is not None and spec.start.edits is not None:
        replay_(model, spec.start.edits)
    model.load_state_dict(weights, strict=True)
    return model.eval(), mask


def units_of(run: Run, model: nn.Module, context: Context) -> Units:
    """Return the units of a run's network, traced on the first inputs of its task."""
    return find_units(model, example_of(context.parts(spec_of(run).task)))
