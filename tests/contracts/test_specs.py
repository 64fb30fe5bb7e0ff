"""Every member of every family survives the way to JSON and back."""

import dataclasses

import pytest

from registers import FAMILIES, own
from surplus.base import Family, decode, encode, fingerprint, lookup
from surplus.nets import MLP
from surplus.training import RECIPES, Spec
from surplus.training.interventions import Pruning

REQUIRED = {
    "pruning": {"sparsity": 0.5},
    "pruning-noise": {"instead_of": Pruning(sparsity=0.5)},
    "cutting": {"sparsity": 0.5},
    "scheduled-pruning": {"at": (1,), "sparsity": 0.5},
    "Optimizer-subspace": {"dimension": 3},
    "seeded": {"inner": MLP(), "seed": 3},
    "redrawn": {"inner": MLP(), "layers": ("fc1",)},
    "rescaled": {"inner": MLP(), "factor": 0.5},
}
CASES = [(family, name) for family in FAMILIES for name in own(family)]


def made(family: type[Family], name: str) -> Family:
    fields = REQUIRED.get(f"{family.__name__}-{name}", REQUIRED.get(name, {}))
    return lookup(family, name)(**fields)


@pytest.mark.parametrize(
    ("family", "name"), CASES, ids=lambda case: getattr(case, "__name__", case)
)
def test_survives_json(family, name):
    member = made(family, name)
    again = decode(family, encode(member))
    assert again == member
    assert fingerprint(again) == fingerprint(member)


@pytest.mark.parametrize(
    ("family", "name"), CASES, ids=lambda case: getattr(case, "__name__", case)
)
def test_is_a_frozen_final_dataclass(family, name):
    member = made(family, name)
    assert dataclasses.is_dataclass(member)
    assert member.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(member))
    with pytest.raises(TypeError, match="is final"):
        type("Variant", (type(member),), {})


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_the_family_itself_cannot_be_made(family):
    with pytest.raises(TypeError, match="abstract"):
        family()


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_json(name):
    spec = RECIPES[name]()
    assert decode(Spec, encode(spec)) == spec
