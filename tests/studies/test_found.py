"""Picking and pairing rows of what was found."""

import pandas
import pytest

from surplus.base import InvalidArgument, UnknownName
from surplus.studies import Found, paired, pick

FRAME = pandas.DataFrame(
    {
        "score": ["a", "a", "a", "a", "b", "b", "b", "b"],
        "replica": [0, 0, 1, 2, 0, 1, 1, 3],
        "layer": ["fc1", None, "fc1", "fc1", None, "fc1", "fc1", "fc1"],
        "value": [1.0, 3.0, 5.0, 7.0, 1.0, 2.0, 4.0, 100.0],
    }
)


def test_pairs_are_averaged_within_a_replica_and_what_is_in_one_arm_only_is_left_out():
    found = paired(FRAME, "value", {"score": "a"}, {"score": "b"})
    assert found.to_dict() == {0: 1.0, 1: 2.0}


def test_pairs_by_several_columns():
    found = paired(FRAME, "value", {"score": "a"}, {"score": "b"}, by=("replica", "layer"))
    assert found.to_dict() == {(1, "fc1"): 2.0}


def test_a_censored_replica_stays_censored():
    frame = FRAME.assign(value=FRAME["value"].where(FRAME["replica"] != 1))
    found = paired(frame, "value", {"score": "a"}, {"score": "b"})
    assert found[0] == 1.0 and pandas.isna(found[1])


def test_none_means_the_rows_that_hold_nothing():
    assert list(pick(FRAME, layer=None)["value"]) == [3.0, 1.0]
    assert list(pick(FRAME, layer=None, score="b")["value"]) == [1.0]


def test_a_frame_that_was_taken_can_be_changed():
    found = Found({"x/y": FRAME}, "default")
    taken = found["x/y"]
    taken["value"] = 0.0
    assert list(found["x/y"]["value"]) == list(FRAME["value"])
    assert found.names() == ["x/y"]


def test_errors_say_what_is_there():
    with pytest.raises(UnknownName, match="Did you mean `score`"):
        pick(FRAME, scores="a")
    with pytest.raises(InvalidArgument, match="`score` holds a, b; `replica` holds 0, 1, 2, 3"):
        pick(FRAME, score="c", replica=0)
    with pytest.raises(InvalidArgument, match=r"`value` holds .* and 18 more"):
        pick(pandas.DataFrame({"value": range(30)}), value=-1)
    with pytest.raises(UnknownName, match="Did you mean `value`"):
        paired(FRAME, "values", {"score": "a"}, {"score": "b"})
    with pytest.raises(UnknownName, match="column"):
        paired(FRAME, "value", {"score": "a"}, {"score": "b"}, by="seed")
    with pytest.raises(InvalidArgument, match="have no `replica` in common"):
        paired(FRAME, "value", {"replica": 2}, {"replica": 3})
    with pytest.raises(UnknownName, match="Did you mean `ablation/curves`"):
        Found({"ablation/curves": FRAME}, "default")["ablation/curve"]


def test_quantities():
    frame = pandas.DataFrame(
        {
            "measure": ["norms", "norms", "rank"],
            "quantity": ["mean", "max", "mean"],
            "value": [1, 2, 3],
        }
    )
    found = Found({"measuring/findings": frame}, "default")
    assert list(found.quantity("mean")["value"]) == [1, 3]
    assert list(found.quantity("mean", "rank")["value"]) == [3]
    with pytest.raises(UnknownName, match="Did you mean `mean`"):
        found.quantity("means")
    with pytest.raises(InvalidArgument, match="`measure` holds norms"):
        found.quantity("max", "rank")
