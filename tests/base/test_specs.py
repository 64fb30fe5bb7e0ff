import dataclasses
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surplus.base import InvalidArgument, UnknownName, canonical, decode, encode, fingerprint, label
from surplus.scores import Magnitude
from surplus.training import Spec, Training, recipe
from surplus.training.interventions import Pruning


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    rate: float = 0.1
    name: str = "a"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    inner: Inner = Inner()
    sizes: tuple[int, ...] = (1, 2)
    choice: Literal["x", "y"] = "x"
    maybe: int | None = None
    flag: bool = False
    pair: tuple[int, float] = (1, 0.5)


@given(
    st.builds(
        Outer,
        inner=st.builds(
            Inner, rate=st.floats(allow_nan=False, allow_infinity=False), name=st.text()
        ),
        sizes=st.tuples(st.integers(), st.integers(), st.integers()),
        choice=st.sampled_from(["x", "y"]),
        maybe=st.none() | st.integers(),
        flag=st.booleans(),
        pair=st.tuples(st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
    )
)
def test_any_spec_survives_json(outer):
    assert decode(Outer, encode(outer)) == outer


def test_a_new_field_with_its_default_does_not_move_old_runs():
    @dataclass(frozen=True, kw_only=True, slots=True)
    class Later(Outer):
        added: int = 5

    assert fingerprint(Later()) == fingerprint(Outer())
    assert fingerprint(Later(added=6)) != fingerprint(Outer())


def test_a_raised_version_does_move_them():
    class Raised(Outer):
        version = 2

    assert fingerprint(Raised()) != fingerprint(Outer())


def test_identity_is_part_of_the_address():
    assert fingerprint(Outer(), data="1") != fingerprint(Outer(), data="2")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"inne": {}}, "`spec` (Outer) has no field `inne`. Did you mean `inner`?"),
        ({"inner": {"rate": "fast"}}, "`spec.inner.rate` is 'fast'; expected float."),
        ({"sizes": [1, "2"]}, "`spec.sizes[1]` is '2'; expected int."),
        ({"choice": "z"}, "`spec.choice` is 'z'; expected 'x' or 'y'."),
        ({"flag": 1}, "`spec.flag` is 1; expected bool."),
        ([], "`spec` is []; expected an object with the fields of Outer."),
        ({"pair": [1]}, "`spec.pair` is [1]; expected a list of 2 values."),
        ({"pair": 1}, "`spec.pair` is 1; expected a list."),
    ],
)
def test_wrong_data_is_named_by_its_place(data, message):
    with pytest.raises(InvalidArgument) as wrong:
        decode(Outer, data)
    assert str(wrong.value) == message


def test_an_unknown_member_gets_a_suggestion():
    data = encode(recipe("lenet-mnist-10k"))
    data["net"]["kind"] = "lenet-300"
    with pytest.raises(
        UnknownName, match="no net called `lenet-300`. Did you mean `lenet-300-100`"
    ):
        decode(Spec, data)


def test_a_name_alone_stands_for_a_member_with_its_defaults():
    data = encode(recipe("lenet-mnist-10k"))
    data["net"] = "lenet-300-100"
    assert decode(Spec, data) == recipe("lenet-mnist-10k")


def test_labels_say_what_differs_from_the_defaults():
    assert label(recipe("lenet-mnist-10k").net) == "lenet-300-100"
    assert label(Magnitude(power=1)) == "magnitude:power=1"
    assert label(Pruning(sparsity=0.5, score=Magnitude())) == "pruning:sparsity=0.5"


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(InvalidArgument, match="cannot hold the number nan"):
        encode(Inner(rate=float("nan")))


@pytest.mark.parametrize("value", [{1, 2}, b"bits", object()], ids=["set", "bytes", "object"])
def test_what_a_spec_cannot_hold_is_named_by_its_type(value):
    kind = type(value).__name__
    with pytest.raises(
        InvalidArgument, match=f"cannot hold a {kind}; it takes numbers, strings, tuples and frozen"
    ):
        encode(Outer(maybe=value))


def test_a_whole_number_stands_for_a_float():
    assert decode(Inner, {"rate": 1}) == Inner(rate=1.0)


def test_missing_fields_are_named():
    with pytest.raises(InvalidArgument, match="lacks `net`, `task`, `training`"):
        decode(Spec, {})


def test_length_is_given_exactly_once():
    with pytest.raises(InvalidArgument, match="give exactly one"):
        Training()
    with pytest.raises(InvalidArgument, match="give exactly one"):
        dataclasses.replace(Training(num_epochs=1), num_steps=1)


def test_canonical_json_does_not_depend_on_order():
    assert canonical({"a": 1, "b": [1.5, None]}) == canonical({"b": [1.5, None], "a": 1})


def test_a_raised_version_moves_the_address_from_anywhere(monkeypatch):
    """A changed default hides in whatever holds the member at its default."""
    from surplus.training import Training
    from surplus.training.optimizers import SGD

    before = fingerprint(Training(num_epochs=1))
    monkeypatch.setattr(SGD, "version", 2)
    assert fingerprint(Training(num_epochs=1)) != before
    data = encode(Training(num_epochs=1))
    assert data["optimizer"]["version"] == 2
    assert decode(Training, data) == Training(num_epochs=1)
    monkeypatch.undo()
    with pytest.raises(InvalidArgument, match="written by version 2 of SGD; this is version 1"):
        decode(Training, data)
