"""Conducting a study in this process: what is collected, what is found out before anything is trained."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import pytest

from flipping import Coin, Flip, Misbehave, short
from running import context
from surplus.base import InvalidArgument, StorageFailure, UnknownName, register
from surplus.methods import History
from surplus.store import files
from surplus.store.files import put
from surplus.studies import Arm, Study, StudyIncomplete, claim, study
from surplus.studies.conduct import collected
from surplus.studies.grid import Grid


@register("composed")
@dataclass(frozen=True, kw_only=True)
class Composed(Study):
    """Arms as given."""

    question = "What?"
    given: Any = ()
    seeds: int = 2

    def arms(self):
        return self.given


def arm(*methods, spec=None, **labels):
    return Arm(labels=labels, spec=spec or short(), methods=methods)


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_rows_stand_in_the_order_of_arms_replicas_and_rows(tmp_path):
    given = (arm(Flip(), a=2), arm(Flip(bias=0.1), a=1, spec=short(4)))
    found = study(Composed(given=given), context=context(tmp_path)).found["flip/flips"]
    assert list(found) == ["a", "replica", "run", "flip", "heads"]
    rows = list(found[["a", "replica", "flip"]].itertuples(index=False, name=None))
    assert rows == [(a, r, f) for a in (2, 1) for r in (0, 1) for f in range(4)]


def test_several_methods_of_a_kind_are_told_apart(tmp_path):
    given = (arm(Flip(), Flip(bias=0.9), Flip(), a=1),)
    found = study(Composed(given=given), context=context(tmp_path)).found["flip/flips"]
    assert list(found["method"].unique()) == ["flip", "flip:bias=0.9"]
    assert len(found) == 2 * 2 * 4


def test_a_label_that_is_also_a_column_is_refused_and_nothing_is_lost(tmp_path):
    where = context(tmp_path)
    with pytest.raises(
        InvalidArgument, match="The label `flip` is also a column of the table `flip/flips`"
    ):
        study(Composed(given=(arm(Flip(), flip=1),)), context=where)
    before = contents(tmp_path)
    study(Composed(given=(arm(Flip(), coin=1),)), context=where)
    assert contents(tmp_path) == before


def test_results_that_vanish_meanwhile_are_named(tmp_path):
    where = context(tmp_path)
    asked = Composed(given=(arm(Flip(), a=1),))
    outcome = study(asked, context=where)
    known = Flip().known(where.store.find(outcome.runs[0]))
    (known.path / "flips.csv").write_text("damage")
    with pytest.raises(
        StudyIncomplete, match="is missing or damaged; the same command makes it anew"
    ):
        collected(Grid(asked, where), "default")
    again = study(asked, context=where)
    assert again.found["flip/flips"].equals(outcome.found["flip/flips"])


def test_what_failed_is_told_and_the_rest_is_kept(tmp_path):
    where = context(tmp_path)
    flag = tmp_path / "flag"
    flag.touch()
    given = (arm(Misbehave(what="raise", file=str(flag)), Flip(), a=1),)
    with pytest.raises(
        StudyIncomplete, match=r"(?s)2 of 5 pieces of work failed, .*misbehave of 1: .*fell off"
    ) as told:
        study(Composed(given=given), context=where)
    assert "the same command goes on from there" in str(told.value)
    flag.unlink()
    assert len(study(Composed(given=given), context=where).found["misbehave/deeds"]) == 2


def test_a_study_that_cannot_be_written_down_is_refused_before_training(tmp_path):
    given = (arm(Flip(), a=1),)  # labels are a dictionary
    with pytest.raises(InvalidArgument, match="cannot hold a dict"):
        study(Composed(given=given), context=context(tmp_path), out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_nobody_knows_is_an_error_before_training(tmp_path):
    @register("unsourced")
    @dataclass(frozen=True, kw_only=True)
    class Unsourced(Study):
        """One arm."""

        seeds: int = 1

        def arms(self):
            return (arm(a=1),)

        @claim("It is so.", source="nobody2020nothing")
        def so(self, found):
            """So."""

    with pytest.raises(UnknownName, match="nobody2020nothing"):
        study(Unsourced(), context=context(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.message
def test_a_scale_that_is_none_is_refused(tmp_path):
    with pytest.raises(
        InvalidArgument, match='`scale` is \'big\'; it is "smoke", "default" or "full"'
    ):
        study("coin", "big", context=context(tmp_path))


def test_data_that_are_not_there_are_found_out_before_training(tmp_path, monkeypatch):
    from surplus.base import DataMissing
    from surplus.tasks import CIFAR10

    specs = short(), replace(short(), task=CIFAR10())
    where = replace(context(tmp_path), data=tmp_path / "nowhere")
    given = tuple(arm(spec=spec, a=n) for n, spec in enumerate(specs))
    with pytest.raises(DataMissing):
        study(Composed(given=given), context=where)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.8, 0.97])
def test_a_full_disk_stops_it_and_the_same_call_gives_the_same_bytes(tmp_path, monkeypatch, share):
    written = 0

    def counting(descriptor, data):
        nonlocal written
        written += len(data)
        put(descriptor, data)

    monkeypatch.setattr(files, "put", counting)
    study(Coin(seeds=2), context=context(tmp_path / "clean"), out=tmp_path / "clean" / "out")
    left = share * written

    def filling(descriptor, data):
        nonlocal left
        left -= len(data)
        if left < 0:
            raise OSError(28, "No space left on device")
        put(descriptor, data)

    monkeypatch.setattr(files, "put", filling)
    out = tmp_path / "out"
    with pytest.raises(StorageFailure, match="The disk is full"):
        study(Coin(seeds=2), context=context(tmp_path), out=out)
    monkeypatch.undo()
    study(Coin(seeds=2), context=context(tmp_path), out=out)
    assert contents(out) == contents(tmp_path / "clean" / "out")


def test_a_diverged_run_is_kept_as_it_is(tmp_path):
    from surplus.training.optimizers import SGD

    wild = short(30, optimizer=SGD(learning_rate=1e20, momentum=0.9))
    outcome = study(Composed(given=(arm(Flip(), spec=wild, a=1),)), context=context(tmp_path))
    assert len(outcome.found["flip/flips"]) == 8


def test_history_reads_the_events_and_names_a_kind_that_is_not_there(tmp_path):
    where = context(tmp_path)
    outcome = study(Composed(given=(arm(History(), a=1),)), context=where)
    events = outcome.found["history/events"]
    run = where.store.find(outcome.runs[0])
    theirs = [event for event in run.series("evaluation")]
    mine = events[events["run"] == run.name]
    assert list(mine["step"]) == [each.step for each in theirs]
    assert list(mine["test_accuracy"]) == [each.values["test_accuracy"] for each in theirs]
    with pytest.raises(UnknownName, match="Did you mean `evaluation`"):
        History(event="evaluations").apply(run, where)


def test_nothing_warns(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study(Coin(seeds=1), context=context(tmp_path), out=tmp_path / "out")
