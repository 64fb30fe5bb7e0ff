"""The page: markup, styles, modules and data in one self-contained HTML file."""

import base64
import html
import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from surplus.base import finite

VENDORED = (
    "d3-array",
    "d3-color",
    "d3-format",
    "d3-interpolate",
    "d3-path",
    "d3-time",
    "d3-time-format",
    "d3-scale",
    "d3-shape",
)  # in the order in which they need one another


def render(title: str, data: Any) -> str:
    """Return the page as one file that opens offline: it asks for nothing from elsewhere.

    Each ES module becomes a data URL under its own name in an import map, so the modules stay as they are written.
    """
    root = files("surplus.viewer")
    modules = {
        f"surplus/{name}": _data_url(text) for name, text in sorted(_modules(root / "web").items())
    }
    scripts = "\n".join(
        f"<script>{(root / 'vendor' / f'{name}.min.js').read_text(encoding='utf-8')}</script>"
        for name in VENDORED
    )
    replacements = {
        "@title@": html.escape(title),
        "@styles@": (root / "web" / "style.css").read_text(encoding="utf-8"),
        "@vendored@": scripts,
        "@imports@": _script_safe({"imports": modules}),
        "@data@": _script_safe(data),
    }
    page = (root / "web" / "page.html").read_text(encoding="utf-8")
    for mark, text in replacements.items():
        page = page.replace(mark, text)
    return page


def _modules(folder: Traversable, prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _modules(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".js"):
            found[f"{prefix}{entry.name}"] = entry.read_text(encoding="utf-8")
    return found


def _data_url(text: str) -> str:
    return "data:text/javascript;base64," + base64.b64encode(text.encode()).decode()


def _script_safe(data: Any) -> str:
    """Write JSON that cannot end the script element it stands in, whatever names a run carries."""
    text = json.dumps(finite(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
