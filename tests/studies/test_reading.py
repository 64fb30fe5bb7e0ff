"""Reading frames: the last look, one number per replica, what changed."""

import math

import pandas
import pytest

from surplus.studies.reading import at_the_end, by_replica, gained


@pytest.fixture
def frame():
    """Two arms of different length; replica 1 of the second has no norm."""
    rows = [
        {
            "arm": arm,
            "replica": replica,
            "step": step,
            "layer": layer,
            "quantity": quantity,
            "value": value,
        }
        for arm, end in (("a", 10), ("b", 20))
        for replica in (1, 0)
        for step in (end, 0)
        for layer in ("fc1", "fc2")
        for quantity, value in (("norm", step + replica), ("other", -1.0))
        if (arm, replica, quantity) != ("b", 1, "norm")
    ]
    return pandas.DataFrame(rows)


def test_each_arm_ends_where_it_ends(frame):
    last = at_the_end(frame, by=["arm"])
    assert {(row.arm, row.step) for row in last.itertuples()} == {("a", 10), ("b", 20)}


def test_replicas_without_a_number_are_not_forgotten(frame):
    last = at_the_end(frame, by=["arm"])
    assert by_replica(last[last["arm"] == "a"], "norm", "fc1").to_dict() == {0: 10, 1: 11}
    second = by_replica(last[last["arm"] == "b"], "norm", "fc2").to_dict()
    assert second[0] == 20 and math.isnan(second[1])


def test_what_is_gained_is_the_end_less_the_start(frame):
    found = gained(frame, "norm", "fc1", by="arm")
    assert found["a"].to_dict() == {0: 10, 1: 10}
    assert found["b"].to_dict() == {0: 20}
