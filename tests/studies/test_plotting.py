"""Figures: the same bytes for the same data, and what is drawn is what was asked for."""

import itertools

import pandas
import pytest
from scipy import stats

from surplus.base import InvalidArgument, UnknownName
from surplus.studies import lines, panels
from surplus.studies.plotting import image_bytes

FRAME = pandas.DataFrame(
    [
        {
            "x": x,
            "y": x * (replica + 1) + (name == "b"),
            "name": name,
            "net": net,
            "replica": replica,
        }
        for x, name, net, replica in itertools.product((1, 2, 4), "ab", ("one", "two"), (0, 1, 2))
    ]
)


def drawn():
    return lines(FRAME, "x", "y", by="name", across="net", log="x", labels=("steps", "loss"))


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_the_same_data_give_the_same_bytes(kind):
    one, other = (image_bytes(drawn(), kind) for _ in range(2))
    assert one == other
    assert image_bytes(lines(FRAME, "x", "y"), kind) != one


def test_lines_are_means_over_replicas_with_students_band():
    figure = drawn()
    one, two = figure.axes
    assert (one.get_title(), two.get_title()) == ("one", "two")
    assert one.get_xscale() == "log" and one.get_yscale() == "linear"
    assert (one.get_xlabel(), one.get_ylabel(), two.get_ylabel()) == ("steps", "loss", "")
    assert [line.get_label() for line in one.lines] == ["a", "b"]
    assert list(one.lines[0].get_ydata()) == [2, 4, 8]
    half = 4 * stats.t.ppf(0.975, 2) / 3**0.5  # at x = 4 the replicas say 4, 8, 12
    tops = [path.vertices[:, 1].max() for path in one.collections[0].get_paths()]
    assert max(tops) == pytest.approx(8 + half)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_several_rows_of_a_replica_count_once():
    doubled = pandas.concat([FRAME, FRAME[FRAME["replica"] == 0]])
    one, other = lines(FRAME, "x", "y").axes[0], lines(doubled, "x", "y").axes[0]
    assert list(one.lines[0].get_ydata()) == list(other.lines[0].get_ydata())


def test_one_replica_has_no_band():
    alone = lines(FRAME[FRAME["replica"] == 0], "x", "y", by="name")
    assert not alone.axes[0].collections


def test_what_has_no_name_is_drawn_too():
    frame = FRAME.assign(name=FRAME["name"].where(FRAME["name"] == "a", None))
    figure = lines(frame, "x", "y", by="name", across="name")
    assert [len(axis.lines) for axis in figure.axes] == [1, 1]


@pytest.mark.message
def test_nothing_to_draw_is_said():
    with pytest.raises(InvalidArgument, match="There is nothing to draw: no rows of `y` over `x`"):
        lines(FRAME[FRAME["x"] > 9], "x", "y", across="net")
    with pytest.raises(InvalidArgument, match="There is nothing to draw: 0 panels"):
        panels(0)
    for wrong in ({"by": "names"}, {"across": "nets"}, {"replica": "seed"}):
        with pytest.raises(UnknownName, match="column"):
            lines(FRAME, "x", "y", **wrong)


def test_panels_stand_in_rows():
    figure, axes = panels(5, columns=2)
    assert len(axes) == 5 == len(figure.axes)


def test_titles_and_legends_are_no_larger_than_the_rest_and_numbers_have_their_name():
    figure = lines(FRAME.assign(width=32), "x", "y", by="width", across="net")
    (entry,) = figure.legends[0].get_texts()
    assert entry.get_text() == "width 32"
    sizes = {entry.get_fontsize(), *(axis.title.get_fontsize() for axis in figure.axes)}
    assert sizes == {figure.axes[0].xaxis.label.get_fontsize()}
