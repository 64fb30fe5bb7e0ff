"""A small run to store, for the tests of the store and the viewer."""

import struct

from surplus.base import RawTensor
from surplus.store import Run, Store
from surplus.store.writer import Writer

SPEC = {
    "net": {"kind": "tiny-mlp"},
    "task": {"kind": "stripes"},
    "training": {"optimizer": {"kind": "sgd", "learning_rate": 0.1}, "batch_size": 8},
}


def raw(values: list[float]) -> RawTensor:
    """Return numbers as a float32 tensor on its way to the disk."""
    return RawTensor("F32", (len(values),), struct.pack(f"<{len(values)}f", *values))


def written(store: Store, seed: int = 0, finish: bool = True) -> Run:
    """Write a run of twenty steps."""
    run = store.run("0123456789abcdef", seed)
    document = {"fingerprint": run.fingerprint, "seed": seed, "spec": SPEC}
    writer = Writer(run, document, {"torch": "test", "surplus": "test"})
    try:
        for step in (0, 10, 20):
            if step:
                writer.event("train", step, {"loss": 10.0 / step})
            accuracy = 0.3 + step / 40
            writer.event(
                "evaluation", step, {"test_accuracy": accuracy, "validation_accuracy": accuracy}
            )
            writer.snapshot(step, {"w": raw([float(step), 1.0])})
            writer.checkpoint(step, {"w": raw([float(step)])}, keep=False)
        if finish:
            writer.finish("complete", 20)
    finally:
        writer.release()
    return run
