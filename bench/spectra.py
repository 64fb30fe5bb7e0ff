"""The spectra of a VGG-16 beside weightwatcher: the same matrices, the same work, in turn.

The network is VGG-16 for images of 32 x 32: thirteen convolutions and dense layers 512-512-512-10, at initialisation,
with ten directions planted in each layer. It is judged twice: *by position*, where each position of a kernel is a
matrix and their eigenvalues are pooled, as weightwatcher takes convolutions; and *flat*, where a layer is one matrix
of filters x (inputs x positions), as is our default, for which weightwatcher is given dense layers with those
weights. Both sides permute the entries twice, as weightwatcher does where there are a hundred eigenvalues or more
(elsewhere it draws six). weightwatcher also states a distance between the two spectra; ours also names the phase and
the errors of low rank.
"""

import contextlib
import io
import logging
import math
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version

import torch
from threadpoolctl import threadpool_limits
from torch import nn

from surplus.measures import (
    Finding,
    MarchenkoPasturFit,
    Measure,
    PowerLawTail,
    Spectrum,
    findings,
    observed,
)
from surplus.units import find_units
from timing import settle, spread

with contextlib.redirect_stdout(io.StringIO()):
    # Before the number of threads is set: what is loaded later would use as many as there are.
    import weightwatcher

WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
DEFAULTS = (Spectrum(), MarchenkoPasturFit(), PowerLawTail())


def quick(by_position: bool) -> tuple[Measure, ...]:
    """Return what answers to the default of weightwatcher: ranks, norms, the power law."""
    return (
        Spectrum(by_position=by_position),
        PowerLawTail(by_position=by_position, num_draws=0, num_resamples=0),
    )


def full(by_position: bool) -> tuple[Measure, ...]:
    """Return what answers to all of it: also the law of noise, and permuted matrices."""
    return (
        Spectrum(by_position=by_position),
        MarchenkoPasturFit(by_position=by_position, num_draws=2),
        PowerLawTail(by_position=by_position, num_draws=2, num_resamples=0),
    )


def vgg16() -> nn.Sequential:
    """Return VGG-16 for CIFAR with ten directions of signal in each layer."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for width in WIDTHS:
        if width:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        else:
            layers.append(nn.MaxPool2d(2))
    dense = [nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
    model = nn.Sequential(*layers, nn.Flatten(), *dense)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                rows, columns = len(parameter), parameter[0].numel()
                signal = torch.randn(rows, 10) @ torch.randn(10, columns)
                scale = float(parameter.std()) / math.sqrt(max(rows, columns))
                parameter.add_(signal.view_as(parameter), alpha=scale)
    return model.eval()


def flattened(model: nn.Sequential) -> nn.Sequential:
    """Return dense layers with the same weights, flattened; it does not run."""
    found = nn.Sequential()
    for name, module in model.named_children():
        if isinstance(module, nn.Conv2d | nn.Linear):
            rows, columns = module.weight.flatten(1).shape
            dense = nn.Linear(columns, rows, bias=False)
            dense.weight = nn.Parameter(module.weight.detach().flatten(1))
            found.add_module(name, dense)
    return found


def ours(model: nn.Module, by: Sequence[Measure]) -> list[tuple[Measure, Finding]]:
    """Trace the network and measure it."""
    units = find_units(model, torch.zeros(1, 3, 32, 32))
    return findings(observed(model, units, by), by)


def theirs(model: nn.Module, full: bool) -> dict[str, float]:
    """Return weightwatcher's alpha of each layer."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        watcher = weightwatcher.WeightWatcher(model=model, log_level=logging.ERROR)
        details = watcher.analyze(plot=False, randomize=full, mp_fit=full)
    return dict(zip(details["longname"], details["alpha"], strict=True))


def seconds(work: Callable[[], object]) -> float:
    """Return the time of the processor in one call, which other processes disturb less than that of the clock."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def beside(name: str, rounds: int, mine: Callable[[], object], other: Callable[[], object]) -> str:
    """Time two sides in turn, on one thread, and return a row of the table."""
    pairs = [(seconds(mine), seconds(other)) for _ in range(rounds)]
    first, second = zip(*pairs, strict=True)
    ratio = spread([b / a for a, b in pairs])
    return f"| {name} | {rounds} | {spread(first)} | {spread(second)} | **{ratio}** |"


def agreement(model: nn.Module, same: nn.Module, by_position: bool) -> str:
    """Say how far the exponents of the two sides lie apart."""
    alphas = theirs(same, full=False)
    found = {
        finding.layer: finding.value
        for _, finding in ours(model, quick(by_position))
        if finding.quantity == "alpha" and finding.value is not None
    }
    apart = [abs(found[name] - alpha) / alpha for name, alpha in alphas.items()]
    return f"{sum(each < 1e-6 for each in apart)} of {len(apart)} exponents equal to six digits"


def spectra(quick_rounds: int = 5, full_rounds: int = 2) -> None:
    """Print how long the spectra of a VGG-16 take on each side, and whether the exponents agree."""
    model = vgg16()
    dense = flattened(model)
    said = []
    print(
        "| VGG-16, 16 weights | n | ours [s] | weightwatcher [s] | ratio |\n|---|---|---|---|---|"
    )
    for name, same, by_position in (("by position", model, True), ("flat", dense, False)):
        said.append(f"{name}: {agreement(model, same, by_position)}")
        for work, rounds, by, whole in (
            ("ranks, norms, power law", quick_rounds, quick(by_position), False),
            ("also noise, permuted", full_rounds, full(by_position), True),
        ):
            row = beside(
                f"{name}: {work}",
                rounds,
                lambda by=by: ours(model, by),
                lambda same=same, whole=whole: theirs(same, whole),
            )
            print(row, flush=True)
    alone = spread([seconds(lambda: ours(model, DEFAULTS)) for _ in range(full_rounds)])
    print(f"| our defaults: flat, 10 permutations, intervals | {full_rounds} | {alone} | | |\n")
    print("; ".join(said) + ".")


def main() -> None:
    """Print the table, everything on one thread."""
    settle()
    with threadpool_limits(1):
        print(f"torch {torch.__version__}, weightwatcher {version('weightwatcher')}, 1 thread\n")
        spectra()


if __name__ == "__main__":
    main()
