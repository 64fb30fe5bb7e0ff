"""Measuring: how long the report takes, what memory it needs, and its engines beside the tools of others.

The report is that of `surplus measure`: sixteen measures on 10,000 images of the training part, from a network in
memory to the table. Memory is the most that the process held while it measured, above what it held before, on all
images of a data set; it is read from the system, so Linux only. Then come the tables of `spectra.py` (beside
weightwatcher), `ghost.py` (beside vmap and BackPACK) and `representations.py` (beside torch_cka).

    python bench/measures.py    # --quick leaves out the slowest rounds; SURPLUS_DATA names the data folder
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

import surplus as sp
from surplus.base import Net, Parts, Task
from surplus.nets import LeNet300100, ResNetCIFAR
from surplus.tasks import CIFAR10, MNIST
from surplus.training import Spec, Training
from surplus.training.optimizers import SGD
from timing import learnt, loaded, seconds, settle, spread

ROUNDS = 5
STEPS = 200
SUBJECTS: dict[str, tuple[Net, Task]] = {
    "LeNet-300-100": (LeNet300100(), MNIST()),
    "ResNet-20": (ResNetCIFAR(depth=20), CIFAR10()),
}


def subject(net: Net, task: Task) -> tuple[nn.Module, Mapping[str, Tensor], Parts, str]:
    """Return a network after some steps, its weights before them, its data and their name."""
    parts, name = loaded(task)
    shape = parts.train.batch(torch.tensor([0]))[0].shape[1:]
    before = net.build(tuple(shape), task.num_classes, 0).state_dict()
    training = Training(optimizer=SGD(learning_rate=0.05), batch_size=64, num_steps=STEPS)
    model = learnt(Spec(net=net, task=task, training=training), parts, STEPS)
    return model.eval(), before, parts, name


def report(name: str, net: Net, task: Task) -> str:
    """Time the report, and each pass that it rests on; return a row of the table."""
    model, before, parts, data = subject(net, task)
    images = sp.passes.sampled(parts.train, 10_000, 0)

    def whole() -> object:
        return sp.measure(model, data=parts, initial=before)

    def forward() -> None:
        with torch.no_grad():
            for inputs, _ in images:
                model(inputs)

    whole()  # the first call reads code and fills caches
    times, passes = zip(*[(seconds(whole), seconds(forward)) for _ in range(ROUNDS)], strict=True)
    ratios = [one / other for one, other in zip(times, passes, strict=True)]
    cells = (name, data, spread(times), spread(passes), spread(ratios))
    return f"| {' | '.join(cells)} |"


def peak(name: str, net: Net, task: Task) -> str:
    """Measure memory on the whole training and validation part; return a row of the table."""
    model, before, parts, data = subject(net, task)
    everything = [batch for part in (parts.train, parts.validation) for batch in _indices(part)]
    count = sum(len(index) for _, index in everything)

    class Stream:
        """Batches that are made when they are read."""

        def __iter__(self):
            return (part.batch(index) for part, index in everything)

    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    held = _status("VmRSS")
    sp.measure(model, data=Stream(), initial=before, num_examples=None)
    above = (_status("VmHWM") - held) / 1024
    return f"| {name} | {data} | {count:,} | {above:,.0f} |"


def _indices(part: sp.base.Part) -> list[tuple[sp.base.Part, Tensor]]:
    return [(part, index) for index in torch.arange(len(part)).split(1000)]


def _status(key: str) -> int:
    """Return a number of kibibytes that the system tells of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])


def main() -> None:
    settle()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread\n")
    print("| network | data | report, 10,000 images [s] | forward pass alone [s] | ratio |")
    print("|---|---|---|---|---|")
    for name, (net, task) in SUBJECTS.items():
        print(report(name, net, task), flush=True)
    print("\n| network | data | images | peak above the model and the data [MiB] |")
    print("|---|---|---|---|")
    for name in SUBJECTS:
        if name == "LeNet-300-100" or "--quick" not in sys.argv:
            # In a process of its own: what this one has freed and kept would hide what is needed.
            subprocess.run([sys.executable, __file__, "--peak", name], check=True)
    for other in ("spectra", "ghost", "representations"):
        # Each in a process of its own, since it matters how memory is kept.
        print(f"\n## {other}.py\n", flush=True)
        script = Path(__file__).with_name(f"{other}.py")
        quick = [each for each in sys.argv[1:] if each == "--quick"]
        subprocess.run([sys.executable, str(script), *quick], check=True)


if __name__ == "__main__":
    if "--peak" in sys.argv:
        torch.set_num_threads(1)
        wanted = sys.argv[sys.argv.index("--peak") + 1]
        print(peak(wanted, *SUBJECTS[wanted]))
    else:
        main()
