"""The page of a study: question, protocol, claims, figures and tables in one self-contained HTML file."""

import base64
import html
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from surplus.base import Cell, Table

ROWS = 200  # longer tables are in the CSV file only
STYLES = """
.verdict { font-weight: 650; white-space: nowrap; }
.verdict.holds { color: var(--c-green); } .verdict.fails { color: var(--c-orange); }
.verdict.undecided { color: var(--c-grey); }
.protocol { white-space: pre-line; max-width: 46rem; }
.claims { list-style: none; padding: 0; } .claims > li { padding: .7rem 0; border-top: 1px solid var(--line); }
.claims p { margin: .15rem 0; } .claims > li:first-child { border-top: 0; }
figure { margin: 0; } figure img { max-width: 100%; background: #fff; border-radius: .3rem; }
"""


def render_study(
    about: Mapping[str, Any], tables: Mapping[str, Table], figures: Mapping[str, bytes]
) -> str:
    """Return the page as one file that opens offline.

    Args:
        about: `name`, `question`, `protocol`, `scale`, `num_runs`, `settings` (words by name) and `claims`, each with
            `sentence`, `verdict`, `reason`, `number`, `method`, `source` and `place`.
        tables: What else was found.
        figures: SVG images by name.
    """
    style = (files("surplus.viewer") / "web" / "style.css").read_text(encoding="utf-8")
    name = html.escape(str(about["name"]))
    body = [_head(about), _claims(about["claims"])]
    body += [_figure(each, data) for each, data in figures.items()]
    body += [_table(each, table) for each, table in tables.items()]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}: a study</title>\n<style>\n{style}{STYLES}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(body)}</main>\n</body>\n</html>\n"
    )


def _head(about: Mapping[str, Any]) -> str:
    counts = {verdict: 0 for verdict in ("holds", "fails", "undecided")}
    for each in about["claims"]:
        counts[each["verdict"]] += 1
    facts = {
        "scale": about["scale"],
        "runs": about["num_runs"],
        **{name: number for name, number in counts.items() if number},
    }
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    rows = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in about["settings"].items()
    )
    return (
        f"<h1>{html.escape(about['question'])}</h1>\n"
        f'<p class="soft">Study <code>{html.escape(about["name"])}</code></p>\n<dl class="facts">{listed}</dl>\n'
        f"<section><header><h2>What was done</h2></header>\n"
        f'<p class="protocol">{html.escape(about["protocol"])}</p>\n'
        f'<details><summary>Settings</summary><div class="scroll"><table>{rows}</table></div></details></section>\n'
    )


def _claims(claims: list[dict[str, Any]]) -> str:
    items = []
    for each in claims:
        source = ", ".join(filter(None, (each["source"], each["place"])))
        reason = f" ({each['reason']})" if each["reason"] else ""
        items.append(
            f'<li><p><span class="verdict {each["verdict"]}">{each["verdict"]}</span>{html.escape(reason)}'
            f" &ensp;{html.escape(each['sentence'])}</p>"
            f"<p>{html.escape(each['number'])}</p>"
            f'<p class="soft">{html.escape(source)}. {html.escape(each["method"])}</p></li>\n'
        )
    return (
        f"<section><header><h2>Claims</h2></header>\n"
        f'<ul class="claims" role="list" aria-label="Claims">{"".join(items)}</ul></section>\n'
    )


def _figure(name: str, image: bytes) -> str:
    data = base64.b64encode(image).decode()
    words = html.escape(name.replace("-", " "))
    return (
        f"<section><header><h2>{words}</h2></header>\n"
        f'<figure><img alt="{words}" src="data:image/svg+xml;base64,{data}"></figure></section>\n'
    )


def _table(name: str, table: Table) -> str:
    words = html.escape(name.replace("-", " "))
    heads = "".join(f'<th scope="col">{html.escape(each)}</th>' for each in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_shown(cell)}</td>' for cell in row.values())}</tr>\n"
        for row, _ in zip(table.rows(), range(ROWS), strict=False)
    )
    inner = f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"
    more = f"<p>The first {ROWS} of {len(table):,} rows.</p>" if len(table) > ROWS else ""
    return (
        f"<section><header><h2>{words}</h2></header>\n"
        f'<div class="scroll"><table aria-label="{words}">{inner}</table></div>{more}'
        "</section>\n"
    )


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return html.escape(str(cell))
