"""Random architectures: whatever is written with these blocks is cut exactly, or protected with a reason."""

from collections import Counter

import pytest
import torch
from hypothesis import given, seed, settings

from generated import maps, sequences
from generated.comparing import outputs
from generated.network import build
from generated.program import MAPS, NESTING, SEQUENCES, Block, Program, programs
from generated.properties import check


@pytest.mark.parametrize("part", range(4))
def test_a_random_architecture_is_cut_exactly(part):
    """Four runs, so that they can be spread over processes."""

    @seed(part)
    @settings(max_examples=75)
    @given(programs())
    def attempt(program: Program) -> None:
        check(program)

    attempt()


@pytest.mark.parametrize(
    ("domain", "kind"),
    [
        *(("maps", kind) for kind in dict.fromkeys(MAPS)),
        *(("sequences", kind) for kind in dict.fromkeys(SEQUENCES)),
    ],
)
def test_every_kind_of_block_builds_and_runs_in_every_form(domain, kind):
    for form in range(8):
        program = Program(domain, 4, 4, (Block(kind, 4, 2, form=form, norm="batch"),))
        model, example = build(program)
        assert all(each.isfinite().all() for each in outputs(model, example))


def test_kinds_are_those_that_are_drawn():
    assert set(maps.KINDS) == set(MAPS)
    assert set(sequences.KINDS) == set(SEQUENCES)
    assert not set(NESTING) & (set(MAPS) | set(SEQUENCES))


def test_a_program_prints_so_that_it_can_be_typed_in():
    program = Program("maps", 2, 4, (Block("residual", inner=((Block("conv", act="gelu"),),)),))
    assert eval(repr(program)) == program
    assert "act='gelu'" in repr(program) and "norm" not in repr(program)


def test_drawn_programs_are_of_both_domains_and_leave_the_random_stream_alone():
    domains: Counter[str] = Counter()

    @settings(max_examples=30)
    @given(programs())
    def attempt(program: Program) -> None:
        domains[program.domain] += 1
        before = torch.get_rng_state()
        build(program)
        assert torch.equal(before, torch.get_rng_state())

    attempt()
    assert min(domains["maps"], domains["sequences"]) > 3
