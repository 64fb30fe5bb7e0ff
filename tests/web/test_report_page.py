"""The report in a real browser, driven by role and keyboard."""

import re

import pytest

from running import finished
from surplus.methods import Ablation, Cutting, Geometry
from surplus.viewer import write_report

pytestmark = pytest.mark.web
VIEWS = (
    "Which units can go?",
    "Dense, masked, cut",
    "Norms over training",
    "Frame potential over training",
    "Learning",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    run, where = finished(folder, num_steps=48)
    Ablation(repeats=4).apply(run, where)
    Cutting(sparsity=0.5, layers=("fc1",)).apply(run, where)
    Geometry().apply(run, where)
    write_report(run, folder / "report.html")
    return run, folder / "report.html"


@pytest.fixture
def page(written, open_page):
    return open_page(written[1])


def region(page, name):
    return page.get_by_role("region", name=name, exact=True)


def test_every_view_is_there_with_its_chart(page, keep_picture):
    for name in VIEWS:
        assert region(page, name).get_by_role("heading", name=name).is_visible()
    assert page.get_by_role("img").count() == 4
    for chart in page.get_by_role("img").all():
        assert chart.locator("path.curve").count() > 0
    keep_picture(page, "report-light")


def test_dark_and_narrow(written, open_page, keep_picture):
    keep_picture(open_page(written[1], dark=True), "report-dark")
    narrow = open_page(written[1], width=420)
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 420
    keep_picture(narrow, "report-narrow")


def test_the_slider_reads_the_numbers_of_the_store(written, page):
    run, _ = written
    view = region(page, "Which units can go?")
    slider = view.get_by_role("slider", name="Units removed")
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    curves = run.derived("ablation")[0].tables["curves"]
    chosen = curves.where(layer="fc1", score="magnitude", remove="lowest", num_removed=3)
    expected = f"{100 * chosen['test_accuracy'][0]:.1f} %"
    entry = view.get_by_role("listitem").filter(has_text="magnitude, lowest first")
    assert expected in entry.inner_text()
    drawn = view.get_by_role("listitem").filter(has_text="random (mean of 4 ± sd)")
    assert "±" in drawn.inner_text()


def test_a_chosen_layer_is_chosen_everywhere_and_in_the_address(written, page, open_page):
    view = region(page, "Which units can go?")
    view.get_by_label("Layer").select_option("fc2")
    view.get_by_label("Shown").select_option("frame_potential")
    assert region(page, "Norms over training").get_by_label("Layer").input_value() == "fc2"
    name = "frame potential of fc2 against the number of units removed"
    assert page.get_by_role("img", name=name).is_visible()
    fragment = "#" + page.url.partition("#")[2]
    again = open_page(written[1], fragment=fragment)
    assert again.get_by_role("img", name=name).is_visible()
    assert (
        region(again, "Frame potential over training").get_by_label("Layer").input_value() == "fc2"
    )


def test_an_address_that_makes_no_sense_falls_back(written, open_page):
    page = open_page(written[1], fragment="#layer=%3Cb%3E&quantity=nothing")
    assert region(page, "Which units can go?").get_by_label("Layer").input_value() == "fc1"


def test_curves_are_switched_by_their_legend(page):
    view = region(page, "Which units can go?")
    before = view.locator("path.curve").count()
    box = view.get_by_role("checkbox", name=re.compile("magnitude, lowest first"))
    box.uncheck()
    assert view.locator("path.curve").count() == before - 1
    box.focus()
    page.keyboard.press("Space")
    assert view.locator("path.curve").count() == before


def test_each_chart_has_its_table_and_the_table_its_download(written, page):
    run, _ = written
    view = region(page, "Which units can go?")
    view.get_by_text("Table", exact=True).click()
    view.get_by_role("table").wait_for()
    assert view.get_by_role("row").count() == 10
    curves = run.derived("ablation")[0].tables["curves"]
    with page.expect_download() as download:
        view.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == "ablation-fc1-test_accuracy.csv"
    lines = download.value.path().read_text().splitlines()
    magnitude = lines[0].split(",").index('"magnitude') if '"magnitude' in lines[0] else 1
    expected = curves.where(layer="fc1", score="magnitude", remove="lowest", num_removed=2)
    assert float(lines[3].split(",")[magnitude]) == pytest.approx(
        expected["test_accuracy"][0], rel=1e-4
    )


def test_the_comparison_says_what_is_masked_and_what_is_cut(page):
    table = region(page, "Dense, masked, cut")
    heads = table.get_by_role("columnheader").all_inner_texts()
    cells = table.get_by_role("cell").all_inner_texts()
    rows = [cells[start : start + len(heads)] for start in range(0, len(cells), len(heads))]
    assert [row[0] for row in rows] == ["dense", "masked", "cut"]
    dense, masked, cut = (dict(zip(heads, row, strict=True)) for row in rows)
    for cost in ("parameters", "MACs", "file", "peak memory"):
        assert dense[cost] == masked[cost] != cut[cost]


def test_learning_shows_loss_on_request(page):
    view = region(page, "Learning")
    view.get_by_label("Shown").select_option("loss")
    assert page.get_by_role("img", name="Learning curve: loss").is_visible()
    names = view.get_by_role("checkbox").all()
    assert len(names) == 3


def test_help_is_one_click_away(page):
    view = region(page, "Which units can go?")
    view.get_by_text("What this shows").click()
    assert view.get_by_text("Units of one layer are removed one by one").is_visible()


def test_wicked_names_are_text(tmp_path, open_page):
    from storing import SPEC
    from surplus.store import Store, Writer

    run = Store(tmp_path).run("0123456789abcdef", 0)
    wicked = "<img src=x onerror=alert(1)></script><script>alert(1)</script>"
    spec = {**SPEC, "net": {"kind": wicked}}
    writer = Writer(run, {"seed": 0, "spec": spec}, {"surplus": wicked})
    writer.event("evaluation", 0, {"test_accuracy": 0.5})
    writer.event("evaluation", 9, {"test_accuracy": 0.75})
    writer.finish("complete", 9)
    write_report(run, tmp_path / "report.html")
    page = open_page(tmp_path / "report.html")
    assert wicked in page.get_by_role("heading", level=1).inner_text()
    assert page.get_by_role("img", name="x").count() == 0


def test_damage_is_shown(tmp_path, open_page, keep_picture):
    from storing import written as store_run
    from surplus.store import Store

    run = store_run(Store(tmp_path))
    snapshot = run.path / "snapshots" / "step-000010.safetensors"
    snapshot.write_bytes(snapshot.read_bytes()[:-4])
    write_report(run, tmp_path / "report.html")
    page = open_page(tmp_path / "report.html")
    assert "step-000010" in region(page, "Damaged files").inner_text()
    keep_picture(page, "report-damaged")
