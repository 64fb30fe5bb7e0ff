"""The page of a study in a real browser, driven by role."""

import pytest

from flipping import Coin
from running import context
from surplus.studies import study

pytestmark = pytest.mark.web


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    study(Coin(seeds=6), context=context(folder), out=folder)
    return folder / "coin" / "index.html"


def test_question_claims_figures_and_tables_are_there(written, open_page, keep_picture):
    page = open_page(written)
    assert page.get_by_role("heading", level=1).inner_text() == "Is the coin <loaded> & fair?"
    assert page.get_by_role("list", name="Claims").get_by_role("listitem").count() == 3
    items = page.get_by_role("listitem").all_inner_texts()
    assert "The first flip of the loaded coin is <heads> more often than not." in items[1]
    assert items[2].startswith("undecided (smaller scale: default)")
    figure = page.get_by_role("img", name="heads")
    assert figure.evaluate("image => image.complete && image.naturalWidth > 100")
    table = page.get_by_role("table", name="shares")
    assert table.get_by_role("columnheader").all_inner_texts() == ["coin", "mean", "count"]
    assert table.get_by_role("row").count() == 3
    page.get_by_text("Settings", exact=True).click()
    assert page.get_by_role("rowheader", name="num_flips").is_visible()
    keep_picture(page, "study-light")


def test_dark_and_narrow(written, open_page, keep_picture):
    keep_picture(open_page(written, dark=True), "study-dark")
    narrow = open_page(written, width=420)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 420
    keep_picture(narrow, "study-narrow")
