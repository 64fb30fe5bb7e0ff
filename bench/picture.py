"""The README's picture of a report: run the demo, open what it wrote, photograph the upper part.

python bench/picture.py        # needs chromium, as `make web` does
"""

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from surplus.cli import main as surplus

TARGET = Path(__file__).parents[1] / "docs" / "figures" / "report.png"


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = Path(folder) / "report.html"
        assert surplus(["demo", "--runs", folder, "--out", str(report), "--quiet"]) == 0
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        context = browser.new_context(
            offline=True, viewport={"width": 1120, "height": 900}, device_scale_factor=1.6
        )
        page = context.new_page()
        page.goto(f"file://{report}")
        cut = page.get_by_role("region", name="Dense, masked, cut", exact=True).bounding_box()
        assert cut is not None
        height = cut["y"] + cut["height"] + 20
        page.screenshot(
            path=TARGET, clip={"x": 0, "y": 0, "width": 1120, "height": height}, full_page=True
        )
        browser.close()
    print(TARGET)


if __name__ == "__main__":
    main()
