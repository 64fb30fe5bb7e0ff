"""What must not change by accident: settings, addresses of published set-ups, and files of format 1."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from registers import FAMILIES, own
from surplus.base import Task, decode, encode, members
from surplus.edits import (
    Count,
    Edits,
    Factorisation,
    Insertion,
    Kept,
    Renumbered,
    Resize,
    Slice,
    load,
)
from surplus.methods import address
from surplus.nets import LeNet300100
from surplus.store import read_bundle, read_document
from surplus.tasks import MNIST10k
from surplus.tasks.classification import Labels, Split
from surplus.training import RECIPES, From, Spec, Training
from surplus.training.moments import EachEpoch, EverySteps
from surplus.training.optimizers import SGD
from surplus.training.probes import Evaluation
from surplus.training.schedules import Constant

HERE = Path(__file__).parent
SETTINGS = HERE / "settings.json"
REGENERATE = "PYTHONPATH=src:tests .venv/bin/python tests/golden/test_golden.py"
REQUIRED = "(required)"
ADDRESSES = {
    "lenet-mnist-10k": "7e2d298badad96fc",
    "lenet-mnist": "c370d4f4b4289b49",
    "lenet-fashion": "697f9424770e01a1",
    "conv2-cifar10": "2704be0258b5cd1f",
    "conv4-cifar10": "d7512d4bed88ad31",
    "conv6-cifar10": "05279a0c7fc2d138",
    "vgg11-cifar10": "0498c6b0c4fde909",
    "vgg19-cifar10": "ddd99e9624ad5496",
    "alexnet-cifar10": "178438f27927c783",
    "resnet20-cifar10": "f8800c12a2b9c775",
}
CONTENTS = {
    "mnist": "121f90f84684b2bb",
    "mnist-10k": "326901456267071f",
    "fashion-mnist": "d053bd800b143bb3",
    "cifar-10": "572b4ced501b14f1",
    "digits": "4d29654939d86355",
}


SPEC_V1 = Spec(
    net=LeNet300100(width=1.0, bias=True),
    task=MNIST10k(
        split=Split(num_validation=2000, seed=0),
        labels=Labels(noise=0.0, random=False, seed=0),
        subset=None,
    ),
    training=Training(
        optimizer=SGD(learning_rate=0.1, momentum=0.9, nesterov=False, weight_decay=0.0),
        schedule=Constant(),
        batch_size=128,
        num_epochs=20,
        num_steps=None,
        snapshots=EachEpoch(every=1),
        forks=(),
        log=EverySteps(every=100),
        probes=(Evaluation(at=EachEpoch(every=1), parts=("validation", "test")),),
        precision="float32",
        compile=None,
    ),
    interventions=(),
    start=None,
)


def described(value: Any) -> Any:
    """Return every setting of a value, defaults too: class, version and each field, all the way down."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: described(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return _entry(type(value), fields)
    if isinstance(value, tuple | list):
        return [described(each) for each in value]
    assert value is None or isinstance(value, bool | int | float | str), (
        f"cannot describe {value!r}"
    )
    return value


def defaults(cls: type) -> Any:
    """Return the settings of a class as it is without any word from the user."""
    fields = {}
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            fields[field.name] = described(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            fields[field.name] = described(field.default_factory())
        else:
            fields[field.name] = REQUIRED
    return _entry(cls, fields)


def _entry(cls: type, fields: dict[str, Any]) -> dict[str, Any]:
    return {"class": cls.__name__, "version": getattr(cls, "version", 1), "fields": fields}


def settings() -> dict[str, Any]:
    """Return all settings that the package has: of every registered member, and of every recipe."""
    families = {
        family.__name__: {kind: defaults(member) for kind, member in own(family).items()}
        for family in FAMILIES
    }
    specs = {cls.__name__: defaults(cls) for cls in (Spec, Training, From)}
    recipes = {name: described(make()) for name, make in RECIPES.items()}
    return {**families, "specs": specs, "recipes": recipes}


def differences(found: Any, golden: Any, where: str = "") -> list[str]:
    """Return the places at which two descriptions differ, each with both values."""
    if isinstance(found, dict) and isinstance(golden, dict):
        return [
            each
            for key in sorted({*found, *golden})
            for each in differences(
                found.get(key, "(absent)"),
                golden.get(key, "(absent)"),
                f"{where}.{key}" if where else key,
            )
        ]
    same = type(found) is type(golden) and found == golden
    return [] if same else [f"{where} is {found!r}, but was {golden!r}"]


def broken_promises(found: Any, golden: Any, where: str = "") -> list[str]:
    """Return the settings that changed in classes whose version did not; a new field breaks no promise."""
    if isinstance(found, list) and isinstance(golden, list) and len(found) == len(golden):
        found, golden = dict(enumerate(found)), dict(enumerate(golden))
    if not (isinstance(found, dict) and isinstance(golden, dict)):
        return differences(found, golden, where)
    known = [key for key in golden if key in found]
    if set(golden) == {"class", "version", "fields"} == set(found):
        if found["version"] > golden["version"]:
            return []
        gone = sorted(set(golden["fields"]) - set(found["fields"]))
        lost = [f"{where}.fields.{name} is gone" for name in gone]
        return lost + broken_promises(found["fields"], golden["fields"], f"{where}.fields")
    return [
        each
        for key in known
        for each in broken_promises(found[key], golden[key], f"{where}.{key}" if where else key)
    ]


def test_no_setting_changes_by_accident():
    """Fingerprints leave out fields at their defaults, so only this test sees a default that changed."""
    changed = differences(settings(), json.loads(SETTINGS.read_text()))
    assert not changed, (
        "\n".join(changed)
        + "\nA default is a promise: raise the class's `version` and add a changelog fragment, then"
        + f" regenerate: {REGENERATE}"
    )


def test_a_changed_default_needs_a_raised_version():
    one = {"class": "SGD", "version": 1, "fields": {"learning_rate": 0.1}}
    changed = {**one, "fields": {"learning_rate": 0.2}}
    added = {**one, "fields": {"learning_rate": 0.1, "dampening": 0.0}}
    assert differences(changed, one, "sgd") == ["sgd.fields.learning_rate is 0.2, but was 0.1"]
    assert broken_promises(changed, one, "sgd") == differences(changed, one, "sgd")
    assert broken_promises({**one, "fields": {}}, one, "sgd") == [
        "sgd.fields.learning_rate is gone"
    ]
    assert broken_promises({**changed, "version": 2}, one) == []
    assert broken_promises(added, one) == [] != differences(added, one)
    nested = {"class": "Training", "version": 1, "fields": {"probes": [one]}}
    assert broken_promises({**nested, "fields": {"probes": [changed]}}, nested) != []


@pytest.mark.parametrize("name", RECIPES)
def test_same_spec_same_address(name):
    """If this fails, a default changed: raise the class's `version` and say so, or take the change back."""
    assert address(RECIPES[name]()) == ADDRESSES[name]


@pytest.mark.parametrize("name", CONTENTS)
def test_same_data_same_hash(name):
    assert members(Task)[name]().content_hash == CONTENTS[name]


def test_a_bundle_of_format_1_is_read():
    model = load(HERE / "cut-v1.safetensors").eval()
    assert model.fc1.out_features == 3
    bundle = read_bundle(HERE / "cut-v1.safetensors")
    assert bundle.metadata["edits"][0]["units"][0] == {
        "layer": "fc1",
        "size": 8,
        "kept": [[0, 1], [4, 6]],
    }
    outputs = model(torch.ones(1, 1, 4, 4))
    expected = torch.tensor([[float(x) for x in (HERE / "cut-v1.txt").read_text().split()]])
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-6)


EDITS_V1 = Edits(
    (
        Resize(
            verb="cut",
            units=(Kept(layer="conv", size=4, kept=((0, 1), (2, 4))),),
            slices=(Slice(tensor="conv.weight", axis=0, size=4, kept=((0, 1), (2, 4))),),
            integers=(Count(module="", name="num_heads", place=None, before=4, after=3),),
            numbers=(Renumbered(tensor="order", size=4, kept=((0, 1), (2, 4))),),
            difference=1.5e-7,
        ),
        Resize(
            verb="grow",
            units=(Kept(layer="conv", size=5, kept=((0, 3),)),),
            slices=(Slice(tensor="conv.weight", axis=0, size=5, kept=((0, 3),)),),
            integers=(Count(module="block", name="sizes", place=1, before=3, after=5),),
        ),
        Resize(verb="merge", units=(), slices=()),
        Resize(verb="split", units=(), slices=()),
        Factorisation(module="fc", rank=3, difference=0.25),
        Insertion(after="relu", layer="conv2d", width=5, kernel_size=3, activation="relu"),
    )
)


def test_edits_of_format_1_are_read_and_written():
    """And records of the first versions, which knew no integers and numbers."""
    golden = json.loads((HERE / "edits-v1.json").read_text())
    assert Edits.from_json(golden) == EDITS_V1
    assert EDITS_V1.to_json() == golden
    for key in ("integers", "numbers"):
        del golden[0][key]
    first, old = EDITS_V1.steps[0], Edits.from_json(golden).steps[0]
    assert old == dataclasses.replace(first, integers=(), numbers=())


def test_a_document_of_format_1_is_read_whole():
    document = read_document(HERE / "spec-v1.json")
    assert still_said(document["spec"], encode(SPEC_V1))
    assert decode(Spec, document["spec"]) == SPEC_V1


def still_said(old: Any, new: Any) -> bool:
    """Say whether all that an old document says is said today; what was added since has its default."""
    if isinstance(old, dict):
        return all(key in new and still_said(each, new[key]) for key, each in old.items())
    return bool(old == new)


def write_settings() -> None:
    """Write the golden settings anew, unless a default changed in a class whose version was not raised."""
    found = settings()
    if SETTINGS.exists():
        broken = broken_promises(found, json.loads(SETTINGS.read_text()))
        if broken:
            raise SystemExit(
                "\n".join([*broken, "Raise the `version` of each class named, then again."])
            )
    SETTINGS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def make() -> None:
    """Write the files of a format; only when the format changes, beside the old ones."""
    from planted import TinyMLP
    from surplus.base import encode
    from surplus.edits import Origin, cut, save
    from surplus.masks import Mask
    from surplus.store import write_document
    from surplus.training import recipe
    from surplus.units import find_units

    model = TinyMLP().build((1, 4, 4), 3, seed=0)
    mask = Mask.full(find_units(model, torch.zeros(1, 1, 4, 4)), ("fc1",))
    mask.kept["fc1"][[1, 2, 3, 6, 7]] = False
    smaller, edits = cut(model, mask)
    origin = Origin(net=TinyMLP(), input_shape=(1, 4, 4), num_classes=3)
    save(HERE / "cut-v1.safetensors", smaller, edits, origin)
    outputs = smaller(torch.ones(1, 1, 4, 4)).detach()[0].tolist()
    (HERE / "cut-v1.txt").write_text(" ".join(map(str, outputs)) + "\n")
    (HERE / "edits-v1.json").write_text(json.dumps(EDITS_V1.to_json(), indent=1) + "\n")
    write_document(HERE / "spec-v1.json", {"spec": encode(recipe("lenet-mnist-10k"))})


if __name__ == "__main__":
    write_settings()
