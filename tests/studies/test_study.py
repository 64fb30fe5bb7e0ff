"""Scales, claims, arms, and the grid with its waves of jobs."""

from dataclasses import dataclass, replace
from typing import Any

import pandas
import pytest

from flipping import Coin, Flip, short
from running import context
from surplus.base import InvalidArgument, register
from surplus.methods import address
from surplus.studies import Arm, Found, Study, claim
from surplus.studies.grid import Grid
from surplus.studies.job import Job
from surplus.studies.remaining import remaining
from surplus.training import From

NOTHING = Found({}, "default")


@register("given")
@dataclass(frozen=True, kw_only=True)
class Given(Study):
    """A study of given arms."""

    given: Any = ()
    seeds: int = 3

    def arms(self):
        return self.given


def test_scales_change_the_fields_they_name():
    assert Coin.at_scale("default") == Coin()
    assert Coin.at_scale("smoke") == Coin(seeds=2)
    assert Coin.at_scale("full") == Coin(seeds=40, num_flips=8)
    assert Coin.at_scale("full").with_seeds(7).seeds == 7
    assert Coin().settings() == {"seeds": "5", "bias": "0.9", "num_flips": "4"}


@pytest.mark.parametrize("seeds", [0, -1])
def test_a_study_needs_a_replica(seeds):
    with pytest.raises(InvalidArgument, match=f"`seeds` is {seeds}; a study needs at least one"):
        Coin().with_seeds(seeds)


def test_a_scale_that_names_no_field_is_refused():
    @dataclass(frozen=True)
    class Wrong(Study):
        smoke = {"seed": 2}  # noqa: RUF012
        seeds: int = 3

        def arms(self):
            return ()

    with pytest.raises(InvalidArgument, match="`Wrong.smoke` sets `seed`, but its fields are"):
        Wrong.at_scale("smoke")


def test_a_study_without_seeds_is_refused():
    @dataclass(frozen=True)
    class Seedless(Study):
        def arms(self):
            return ()

    with pytest.raises(InvalidArgument, match="`Seedless` has no field `seeds`"):
        Seedless.at_scale("default")


def test_claims_stand_in_the_order_of_the_file_with_what_is_said_of_them():
    first, second, third = Coin.claims()
    assert [first.name, second.name, third.name] == [
        "loaded-beats-fair", "first-is-heads", "needs-many",
    ]  # fmt: skip
    assert first.method == "The share of heads, paired by replica."
    assert (second.source, second.place, second.needs) == ("own", "Section <2>", "default")
    assert third.needs == "full"


def flips(num: int, scale: str) -> Found:
    rows = [
        {"coin": coin, "replica": replica, "flip": flip, "heads": coin == "loaded"}
        for coin in ("fair", "loaded")
        for replica in range(num)
        for flip in range(8)
    ]
    return Found({"flip/flips": pandas.DataFrame(rows)}, scale)


def test_a_claim_that_needs_a_larger_scale_is_undecided_below_it():
    for scale in ("smoke", "default"):
        evidence = {each.name: found for each, found in Coin().evidence(flips(9, scale)).items()}
        many = evidence["needs-many"]
        assert (many.verdict, many.reason) == ("undecided", f"smaller scale: {scale}")
        assert many.estimate == 1.0
    evidence = {each.name: found for each, found in Coin().evidence(flips(9, "full")).items()}
    assert evidence["needs-many"].verdict == "holds"
    assert evidence["loaded-beats-fair"].verdict == "holds"


def test_a_test_that_does_not_fit_is_named():
    with pytest.raises(InvalidArgument, match="The claim `loaded-beats-fair` cannot be tested: "):
        Coin().evidence(NOTHING)

    @dataclass(frozen=True)
    class Wrong(Study):
        def arms(self):
            return ()

        @claim("It returns nothing.")
        def nothing(self, found):
            """Nothing."""

    with pytest.raises(InvalidArgument, match="the claim `nothing` returned NoneType"):
        Wrong().evidence(NOTHING)


@pytest.mark.message
def test_a_claim_needs_a_scale_that_exists():
    with pytest.raises(InvalidArgument, match="`needs` is 'huge'"):
        claim("It is so.", needs="huge")


def test_labels_tell_arms_apart(tmp_path):
    def grid(*labels):
        arms = tuple(Arm(labels=each, spec=short()) for each in labels)
        return Grid(Given(given=arms), context(tmp_path))

    with pytest.raises(InvalidArgument, match=r"Two arms of the study have the labels \('a', 1\)"):
        grid({"a": 1}, {"a": 2}, {"a": 1})
    with pytest.raises(InvalidArgument, match=r"one has \['a'\], another \['b'\]"):
        grid({"a": 1}, {"b": 1})
    with pytest.raises(InvalidArgument, match="The study has no arms"):
        grid()
    assert len(grid({"a": 1}, {"a": "1 or 2"}).replicas) == 6
    assert not any(tmp_path.iterdir())


@pytest.mark.message
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"labels": {"replica": 1}}, "the label `replica`, which is a column of every table"),
        ({"labels": {"run": 1}}, "the label `run`"),
        ({"labels": {"net": ("a", "b")}}, "The label `net` is a tuple"),
        ({"seeds": ()}, r"The `seeds` of an arm are \(\)"),
        ({"seeds": (0, 0)}, r"The `seeds` of an arm are \(0, 0\)"),
        ({"seeds": (-1,)}, r"The `seeds` of an arm are \(-1,\)"),
        ({"seeds": (1.0,)}, r"The `seeds` of an arm are \(1.0,\)"),
    ],
)
def test_a_wrong_arm_is_refused(settings, words):
    with pytest.raises(InvalidArgument, match=words):
        Arm(**{"labels": {"a": 1}, "spec": short(), **settings})


def test_arms_that_share_a_spec_share_its_runs_and_computations(tmp_path):
    flip, other = Flip(), Flip(bias=0.1)
    arms = (
        Arm(labels={"a": 1}, spec=short(), methods=(flip, other)),
        Arm(labels={"a": 2}, spec=short(), methods=(flip,)),
        Arm(labels={"a": 3}, spec=short(4), methods=(flip,), seeds=(7,)),
    )
    grid = Grid(Given(given=arms), context(tmp_path))
    assert len(grid.replicas) == 7
    assert len(grid.specs()) == 4
    assert len(list(grid.computations())) == 3 * 2 + 1
    trainings, methods = remaining(grid, 1)
    assert [len(each.train) for each in trainings] == [3, 1]
    assert len(methods) == 7
    trainings, methods = remaining(grid, 8)
    assert sorted(len(each.train) for each in trainings) == [1, 1, 1, 1]
    assert len(methods) == 7


def test_a_run_is_trained_after_the_one_from_which_it_starts(tmp_path):
    first = short(4, forks=(2,))
    second = replace(first, start=From(run=address(first), step=2))
    third = replace(second, start=From(run=address(second), step=4, optimizer=False))
    arms = tuple(
        Arm(labels={"level": level}, spec=spec, methods=(Flip(),))
        for level, spec in ((2, third), (0, first), (1, second))
    )
    grid = Grid(Given(given=arms, seeds=2), context(tmp_path))
    waves = remaining(grid, 2)
    trained = [[spec for job in wave for spec, _ in job.train] for wave in waves]
    assert [set(each) for each in trained] == [{first}, {second}, {third}, set()]
    assert [len(each) for each in trained] == [2, 2, 2, 0]


def test_a_job_crosses_as_json():
    job = Job(
        title="t", made_by="m", train=((short(), 3),), apply=(("f" * 16, 2, Flip(bias=0.25)),)
    )
    assert Job.from_json(job.to_json()) == job


def test_a_method_is_not_applied_to_a_run_that_is_not_at_its_end(tmp_path):
    where = context(tmp_path)
    job = Job(title="t", made_by="m", apply=((address(short()), 0, Flip()),))
    failed = job.attempt(where)
    assert failed is not None and "was not trained to its end" in failed.message
    assert not (tmp_path / "runs").exists()
