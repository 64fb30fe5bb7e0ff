import pytest

from surplus.base import InvalidArgument, UnknownName, cite
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


def test_a_list_may_mix_keys_members_and_specs():
    text = cite(["lecun1998gradient", FramePotential, recipe("conv2-cifar10"), "lecun1998gradient"])
    for key in ("lecun1998gradient", "heitmann2020sources", "frankle2019lottery"):
        assert text.count(f"{{{key},") == 1
    assert cite([]) == ""


@pytest.mark.message
@pytest.mark.parametrize("wrong", [3, [3], [None], ["lecun1998gradient", {}]])
def test_what_has_no_papers_is_refused(wrong):
    with pytest.raises(InvalidArgument, match="takes a score, net, task, method, spec or key"):
        cite(wrong)
