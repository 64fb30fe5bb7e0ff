"""The browser page: prepared by Python, drawn by plain ES modules.

What lives here: `write_report`, a run as one self-contained HTML file; `render_study`, the page of a study; the family
`View`, with its members in `views/`, one file per view that says what it shows; `web/`, the page and the modules that
draw; `vendor/`, D3's modules.
May import: `base`, `store`. Never torch: what needs it is computed before and lies beside the run.
To add a view: one file in `views/` that prepares its data, one module in `web/views/` that draws them.
"""

from surplus.base import discover
from surplus.viewer import views
from surplus.viewer.report import write_report
from surplus.viewer.study_page import render_study
from surplus.viewer.views.view import View

discover(views.__name__)

__all__ = ["View", "render_study", "write_report"]
