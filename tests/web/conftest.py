"""A real browser, offline: any request to elsewhere, console error or unhandled rejection fails the test."""

import os
import shutil
from pathlib import Path

import pytest

ARTEFACTS = Path(__file__).parents[2] / "artefacts"


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail(
            "chromium is not installed: `make web` installs it, or name a browser in $CHROMIUM"
        )
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a file; what goes wrong on the page fails the test at its end."""
    contexts, wrong = [], []

    def opened(path, dark=False, fragment="", width=1100):
        context = browser.new_context(
            offline=True,
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": 900},
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:", "blob:"))
                else wrong.append(request.url)
            ),
        )
        page.goto(f"file://{path}{fragment}")
        page.get_by_role("heading", level=1).wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="session")
def keep_picture():
    """Return a function that keeps a screenshot for people to look at."""
    ARTEFACTS.mkdir(exist_ok=True)

    def keep(page, name):
        page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)

    return keep
