"""The model card of a run: what was trained on what, and how well it does, in Markdown."""

import re
from collections.abc import Mapping
from typing import Any

from crossmodal_jax.reporting._data import ReportData
from crossmodal_jax.reporting._format import flatten, format_cell, format_number, other_tasks
from crossmodal_jax.reporting._table import METRICS, headline, result_table


def render_model_card(data: ReportData) -> str:
    """Renders the numbers of a report as a short Markdown document.

    Args:
      data: What to show; its text is escaped, so that it is neither Markdown nor HTML.

    Returns:
      The document, ending in a line end.

    Examples:
      >>> from crossmodal_jax.reporting import ReportData, render_model_card
      >>> data = ReportData(title="a *b*", metrics={}, facts={"samples": 3}, versions={})
      >>> card = render_model_card(data)
      >>> print(card.splitlines()[0], card.splitlines()[-1])
      # a \\*b\\* | samples | 3 |
    """
    table = result_table(data.metrics)
    parts = [f"# {_escape(data.title)}"]
    if headline(table):
        parts.append(_escape(headline(table)))
    if table.rows:
        head = ["from", *(f"{method} {METRICS[metric]}" for method, metric in table.columns)]
        body = []
        for row in table.rows:
            cells = zip(table.columns, row.cells, strict=True)
            texts = [" ".join(format_cell(cell, metric)).rstrip() for (_, metric), cell in cells]
            body.append([row.label.strip(), *texts])
        parts += ["## Retrieval on the test part, R@k in percent", _table(head, body)]
    for task in other_tasks(data.metrics):
        body = [[method, *(" ".join(c).rstrip() for c in cells)] for method, cells in task.rows]
        parts += [f"## {_escape(task.name)}", _table(["method", *task.metrics], body)]
    parts += _section("Data", data.facts)
    parts += _section("Configuration", dict(flatten(data.config)))
    parts += _section("Versions", data.versions)
    return "\n\n".join(parts) + "\n"


def _section(title: str, values: Mapping[str, Any]) -> list[str]:
    rows = [[name, format_number(value)] for name, value in values.items()]
    return [f"## {title}", _table(["name", "value"], rows)] if rows else []


def _table(head: list[str], body: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(
        "| " + " | ".join(text if line is lines[1] else _escape(text) for text in line) + " |"
        for line in lines
    )


def _escape(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(re.sub(r"([\\`*_{}\[\]|#!~])", r"\\\1", text).split())
