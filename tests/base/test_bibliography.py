import pytest

from surplus.base import UnknownName, cite
from surplus.scores import FramePotential
from surplus.training import recipe


def test_a_member_gives_its_papers():
    text = cite(FramePotential())
    assert "@misc{heitmann2020sources," in text
    assert "@article{benedetto2003finite," in text


def test_a_spec_gives_the_papers_of_all_it_nests_once():
    text = cite(recipe("conv2-cifar10"))
    for key in ("frankle2019lottery", "krizhevsky2009learning", "kingma2015adam"):
        assert text.count(f"{{{key},") == 1


def test_a_wrong_key_gets_a_suggestion():
    with pytest.raises(UnknownName, match="Did you mean `lecun1998gradient`"):
        cite("lecun1998gradients")
