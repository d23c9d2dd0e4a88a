"""The report of a run as one HTML file: no script, no request, nothing beside it."""

import importlib.resources
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from crossmodal_jax._checks import require
from crossmodal_jax.reporting import _plots
from crossmodal_jax.reporting._data import ReportData
from crossmodal_jax.reporting._format import flatten, format_cell, format_number, other_tasks
from crossmodal_jax.reporting._pictures import picture_uri
from crossmodal_jax.reporting._table import METRICS, headline, result_table


def render_report(data: ReportData) -> str:
    """Renders a run as one self-contained HTML page.

    The page holds its style, figures and pictures; it asks the network for nothing and runs
    no script. Equal data gives equal bytes. Parts without data are left out.

    Args:
      data: What to show; its text is escaped, in figures too.

    Returns:
      The page.

    Raises:
      ImportError: If matplotlib or jinja2 is not installed, naming the extra.

    Examples:
      >>> from crossmodal_jax.reporting import ReportData, render_report
      >>> metrics = {"test/retrieval/sans->name/cca/recall_at_1": 0.45}
      >>> page = render_report(ReportData(title="letters & signs", metrics=metrics))
      >>> "<title>letters &amp; signs</title>" in page, "<script" in page
      (True, False)
    """
    # Imported here, with matplotlib behind the plots: both belong to an extra.
    jinja2 = require("jinja2", "cli", "render_report")
    require("matplotlib", "cli", "render_report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = format_number
    folder = importlib.resources.files("crossmodal_jax.reporting")
    template = environment.from_string(folder.joinpath("report.html").read_text("utf-8"))
    table = result_table(data.metrics)
    return template.render(
        data=data,
        css=folder.joinpath("report.css").read_text("utf-8"),
        headline=headline(table),
        table=table,
        metric_names=METRICS,
        format_cell=format_cell,
        others=other_tasks(data.metrics),
        queries=_queries(data),
        validated=any("validation/recall_at_1" in record for record in data.history),
        sweep_columns=list(dict.fromkeys(key for row in data.sweep for key in row)),
        translation=_translation(data),
        config=dict(flatten(data.config)),
        figures=dict(_figures(data)),
    )


def _figures(data: ReportData) -> Iterator[tuple[str, str]]:
    if len(data.history) > 0:
        yield "training", _plots.plot_training(data.history)
    if data.similarity is not None and len(data.similarity_names) > 0:
        scores = np.asarray(data.similarity)
        yield "similarity", _plots.plot_similarity(scores, data.similarity_names)
    if data.embedding is not None and len(data.embedding_labels) > 0:
        yield "embedding", _plots.plot_embedding(np.asarray(data.embedding), data.embedding_labels)
    if data.fusion_weights:
        yield "weights", _plots.plot_weights(data.fusion_weights)
    if data.missing_curves:
        yield "missing", _plots.plot_missing(data.missing_curves)


def _queries(data: ReportData) -> list[dict[str, Any]]:
    pictures = np.asarray(data.query_pictures)
    present = np.ones(pictures.shape[:2], bool)
    if data.query_present is not None:
        present = np.asarray(data.query_present)
    queries = []
    for i, name in enumerate(data.query_names):
        best = data.query_best[i]
        rank = next((k for k, answer in enumerate(best, 1) if answer[2]), None)
        forms = [
            (modality, picture_uri(pictures[i, m]) if present[i, m] else None)
            for m, modality in enumerate(data.query_modalities)
        ]
        queries.append({"name": name, "best": best, "rank": rank, "forms": forms})
    return queries


def _translation(data: ReportData) -> dict[str, Any] | None:
    if data.translation is None:
        return None
    rows = {name: x for name, x in data.translation.items() if name != "names"}
    order = ["source", *(name for name in rows if name not in {"source", "target"}), "target"]
    names: Sequence[str] = data.translation.get("names", [""] * len(rows["source"]))
    grid = [(name, [picture_uri(np.asarray(x)) for x in rows[name]]) for name in order]
    return {"rows": grid, "names": list(names)}
