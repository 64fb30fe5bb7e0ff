"""`surplus train`: a recipe or a spec file, with overrides."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, final

import tyro

from surplus.base import (
    Intervention,
    InvalidArgument,
    Moments,
    Net,
    Schedule,
    Task,
    UnknownName,
    decode,
    encode,
)
from surplus.cli.options import Common, member, say
from surplus.cli.parsing import parse
from surplus.methods import address, train
from surplus.store import Run
from surplus.training import RECIPES, Optimizer, Spec, Training, recipe

DEFAULT = "lenet-mnist-10k"
UNSET: Any = None  # always replaced by the recipe's part
PARTS = ("net", "task", "optimizer", "schedule", "snapshots")


@final
@dataclass
class Arguments:
    """Train a network and keep its history.

    RECIPE is a published set-up; --net, --task, --optimizer, --schedule and --snapshots replace a part of it by
    another of that name, and the flags below then set its fields. A finished run is not trained again; a run that was
    stopped goes on where it stopped.
    """

    recipe: tyro.conf.Positional[str] = DEFAULT
    """The set-up to begin with."""
    spec_file: Path | None = None
    """Take the spec from this JSON file instead of a recipe (as `--dry-run` prints it)."""
    net: str | None = None
    """The network, by name."""
    task: str | None = None
    """The data set, by name."""
    optimizer: str | None = None
    """The optimiser, by name."""
    schedule: str | None = None
    """The schedule of the learning rate, by name."""
    snapshots: str | None = None
    """When snapshots are kept, by name."""
    interventions: tuple[str, ...] = ()
    """What may change the run while it goes on, as in pruning:sparsity=0.5,first=100,last=500,every=100."""
    seeds: tuple[int, ...] = (0,)
    """The replicas to train; they train together."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the spec and its fingerprint, and train nothing."""
    own_net: Annotated[tyro.conf.AvoidSubcommands[Net], tyro.conf.arg(name="net")] = UNSET
    """The network's settings."""
    own_task: Annotated[tyro.conf.AvoidSubcommands[Task], tyro.conf.arg(name="task")] = UNSET
    """The data set's settings."""
    training: tyro.conf.AvoidSubcommands[Training] = UNSET
    """How it is trained."""
    common: Annotated[Common, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Common)
    """Where to work."""


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    words = _spelt(words)
    begun = _begun(words)
    default = Arguments(own_net=begun.net, own_task=begun.task, training=begun.training)
    arguments = parse(Arguments, words, "train", default)
    _check_recipe(arguments.recipe, words)
    spec = replace(
        begun, net=arguments.own_net, task=arguments.own_task, training=arguments.training
    )
    if arguments.interventions:
        asked = tuple(member(Intervention, text) for text in arguments.interventions)
        spec = replace(spec, interventions=asked)
    if arguments.dry_run:
        print(json.dumps({"fingerprint": address(spec), "spec": encode(spec)}, indent=1))
        return 0
    context = arguments.common.context()
    for seed in arguments.seeds:
        known = context.store.run(address(spec), seed)
        if known.is_sealed():
            say(f"{known.name} is finished already and is left as it is.")
    runs = train(spec, arguments.seeds, context)
    for each in runs:
        print(line(each))
    return 0 if all(each.status().state == "complete" for each in runs) else 1


def line(run: Run) -> str:
    """Return one line on how a run ended."""
    state, step = run.status()
    evaluations = run.series("evaluation")
    final = evaluations[-1].values if evaluations else {}
    scores = ", ".join(
        f"{part} accuracy {100 * final[key]:.2f} %"
        for part in ("validation", "test")
        if final.get(key := f"{part}_accuracy") is not None
    )
    return f"{run.name}  {state} at step {step}" + (f"  {scores}" if scores else "")


def _begun(words: list[str]) -> Spec:
    """Return the spec that the recipe, the file and the named parts describe, before any field is set."""
    named = {key: _flag(words, key) for key in (*PARTS, "spec-file")}
    if named["spec-file"] is not None:
        if words[0] in RECIPES:
            raise InvalidArgument(
                f"`{words[0]}` and `--spec-file` both say what to train; give one."
            )
        spec = _read(Path(named["spec-file"]))
    else:
        spec = recipe(_recipe_in(words))
    if named["net"]:
        spec = replace(spec, net=member(Net, named["net"]))
    if named["task"]:
        spec = replace(spec, task=member(Task, named["task"]))
    changes: dict[str, Any] = {}
    # Asking for a length in one unit takes back the recipe's length in the other.
    if _flag(words, "training.num-steps"):
        changes |= {"num_steps": 1, "num_epochs": None}
    elif _flag(words, "training.num-epochs"):
        changes |= {"num_epochs": 1, "num_steps": None}
    if named["optimizer"]:
        changes["optimizer"] = member(Optimizer, named["optimizer"])
    if named["schedule"]:
        changes["schedule"] = member(Schedule, named["schedule"])
    if named["snapshots"]:
        changes["snapshots"] = member(Moments, named["snapshots"])
    return replace(spec, training=replace(spec.training, **changes)) if changes else spec


def _spelt(words: Sequence[str]) -> list[str]:
    """Spell the names of flags with hyphens, as tyro also reads them: `--spec_file` is `--spec-file`."""
    spelt = []
    for word in words:
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            name = name.replace("_", "-")
        spelt.append(name + equals + value)
    return spelt


def _recipe_in(words: list[str]) -> str:
    """Return the recipe that the words name, wherever it stands; the first word if that is no flag."""
    if words and not words[0].startswith("-"):
        return words[0]
    return next((word for word in words if word in RECIPES), DEFAULT)


def _check_recipe(parsed: str, words: list[str]) -> None:
    """Refuse a recipe beside a spec file, and one that the flags around it made hard to find."""
    if _flag(words, "spec-file") is not None:
        if parsed != DEFAULT:
            raise InvalidArgument(f"`{parsed}` and `--spec-file` both say what to train; give one.")
    elif parsed != _recipe_in(words):
        recipe(parsed)  # an unknown one is told with a close spelling
        raise InvalidArgument(f"Name the recipe first: `surplus train {parsed} ...`.")


def _flag(words: list[str], name: str) -> str | None:
    for place, word in enumerate(words):
        if word == f"--{name}" and place + 1 < len(words):
            return words[place + 1]
        if word.startswith(f"--{name}="):
            return word.partition("=")[2]
    return None


def _read(path: Path) -> Spec:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as missing:
        raise UnknownName(f"There is no spec file {path}: {missing.strerror}.") from missing
    except ValueError as broken:
        raise InvalidArgument(f"{path} is not JSON: {broken}.") from broken
    if isinstance(data, dict):
        data = data.get("contents", data)
        data = data.get("spec", data) if isinstance(data, dict) else data
    return decode(Spec, data)
