"""The contracts of schedules and moments."""

import pytest

from surplus.base import Clock, InvalidArgument, Moments, Schedule, members
from surplus.training.moments import AtSteps, EachEpoch, EverySteps, LogSpaced
from surplus.training.schedules import Cosine, StepDecay, Warmup

CLOCK = Clock(num_steps=97, steps_per_epoch=10)


@pytest.mark.parametrize("kind", members(Schedule).values(), ids=lambda kind: kind.kind)
def test_amounts_lie_between_nothing_and_all(kind):
    amounts = [kind().amount(step, CLOCK) for step in range(CLOCK.num_steps)]
    assert all(0 <= amount <= 1 for amount in amounts)
    assert max(amounts) > 0.9


@pytest.mark.parametrize("kind", members(Moments).values(), ids=lambda kind: kind.kind)
def test_moments_lie_within_the_run(kind):
    assert all(0 <= step <= CLOCK.num_steps for step in kind().steps(CLOCK))


@pytest.mark.parametrize("moments", [EachEpoch(), EverySteps(every=7), LogSpaced()])
def test_first_and_last_state_are_always_among_them(moments):
    assert {0, 97} <= set(moments.steps(CLOCK))


def test_given_steps_beyond_the_end_are_not_reached():
    assert list(AtSteps(given=(3, 97, 98)).steps(CLOCK)) == [3, 97]


def test_schedules_at_their_turning_points():
    assert StepDecay(milestones=(0.5,), factor=0.2).amount(49, CLOCK) == pytest.approx(0.2)
    assert Cosine(final=0.1).amount(97, CLOCK) == pytest.approx(0.1)
    assert Warmup(num_steps=10, then=Cosine()).amount(4, CLOCK) == pytest.approx(
        0.5 * Cosine().amount(4, CLOCK)
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EachEpoch(every=0), "`every` is 0; it must be at least 1."),
        (lambda: Warmup(num_steps=0), "`num_steps` is 0; a warm-up takes at least 1."),
        (lambda: AtSteps(given=(-1,)), "steps are counted from 0."),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(InvalidArgument, match=message):
        make()
