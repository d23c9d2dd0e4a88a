"""The headline table: how often each source finds the right answer, by method."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

_KEY = re.compile(
    r"test/retrieval/(?P<source>.+?)->(?P<target>[^/]+)/(?P<method>[^/]+)/(?P<metric>[^/]+)"
)

METRICS = {
    "recall_at_1": "R@1",
    "recall_at_5": "R@5",
    "recall_at_10": "R@10",
    "median_rank": "median rank",
}
"""Metrics of the table with their headings, in the order of the columns."""


class Cell(NamedTuple):
    """One value: with an interval if it is of one run, a spread if it is a mean over runs.

    Attributes:
      value: The metric, or its mean over the runs.
      low: Lower end of its interval, if known.
      high: Upper end of its interval, if known.
      spread: Standard deviation over the runs, if there are several.
      best: Whether no other cell of the column is better.
    """

    value: float
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    best: bool = False


class ResultRow(NamedTuple):
    """The results from one source.

    Attributes:
      source: As in the metrics: modalities joined by `+`, then `|dropK` if K are missing.
      cells: A cell per column; None where nothing was evaluated.
    """

    source: str
    cells: tuple[Cell | None, ...]

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities of the source."""
        return tuple(self.source.partition("|")[0].split("+"))

    @property
    def dropped(self) -> int:
        """How many of the modalities are missing at test time."""
        found = re.search(r"\|drop(\d+)$", self.source)
        return int(found[1]) if found else 0

    @property
    def label(self) -> str:
        """The source in words."""
        if self.dropped:
            return f"  {self.dropped} of {len(self.modalities)} missing"
        return " + ".join(self.modalities)


class ResultTable(NamedTuple):
    """A row per source, a column per method and metric.

    Attributes:
      target: The modality that was looked for.
      columns: Pairs `(method, metric)`.
      rows: Results by source.
      chance: R@1 of guessing, if known.
      num_runs: How many runs the cells are means of.
    """

    target: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[ResultRow, ...]
    chance: float | None
    num_runs: int

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods in the order of the columns."""
        return tuple(dict.fromkeys(method for method, _ in self.columns))


def result_table(
    metrics: Mapping[str, float] | Sequence[Mapping[str, float]],
    *,
    shown: Sequence[str] = tuple(METRICS),
) -> ResultTable:
    """Retrieval results as a table: a row per source, a column per method and metric.

    Sources with one modality come first, then their fusion, each followed by the same with
    modalities missing. The best value of every column is marked.

    Args:
      metrics: Flat metrics of one run, `"test/retrieval/<from>-><to>/<method>/<metric>"`, or
        of several runs that differ in their seed; a cell then holds the mean over the runs
        and their standard deviation.
      shown: Which metrics become columns, if there are results for them.

    Returns:
      The table; without rows if there is no retrieval result. Where results have several
      targets, the first is shown.

    Raises:
      ValueError: If there is no run at all.

    Examples:
      >>> from crossmodal_jax.reporting import result_table
      >>> key = "test/retrieval/{}->name/learned/recall_at_1".format
      >>> table = result_table({key("sans"): 0.58, key("sans+serif"): 0.66})
      >>> [(row.label, row.cells[0].value, row.cells[0].best) for row in table.rows]
      [('sans', 0.58, False), ('sans + serif', 0.66, True)]
    """
    runs = [metrics] if isinstance(metrics, Mapping) else list(metrics)
    if not runs:
        raise ValueError("result_table: `metrics` must hold at least one run, got none; run first.")
    keys = dict.fromkeys(key for run in runs for key in run)
    found = [match for key in keys if (match := _KEY.fullmatch(key))]
    target = found[0]["target"] if found else ""
    found = [match for match in found if match["target"] == target]
    methods = dict.fromkeys(match["method"] for match in found)
    present = {(match["method"], match["metric"]) for match in found}
    columns = tuple((a, b) for a in methods for b in METRICS if b in shown and (a, b) in present)

    rows = []
    for source in dict.fromkeys(match["source"] for match in found):
        prefix = f"test/retrieval/{source}->{target}"
        cells = [_cell(runs, f"{prefix}/{method}/{metric}") for method, metric in columns]
        if any(cell is not None for cell in cells):
            rows.append(ResultRow(source, tuple(cells)))
    # Stable: sources of one size keep the order in which they were evaluated.
    order = list(dict.fromkeys(row.modalities for row in rows))
    rows.sort(key=lambda row: (len(row.modalities), order.index(row.modalities), row.dropped))
    guesses = [match.string for match in found if match["metric"] == "chance_recall_at_1"]
    chances = [run[key] for run in runs for key in guesses if key in run]
    chance = float(np.mean(chances)) if chances else None
    return ResultTable(target, columns, _mark_best(rows, columns), chance, len(runs))


def headline(table: ResultTable) -> str:
    """The main result in one sentence: fusion against the best single source.

    Args:
      table: What `result_table` returns, with R@1 among its columns.

    Returns:
      One sentence, or an empty string if the table has no R@1.

    Examples:
      >>> from crossmodal_jax.reporting import headline, result_table
      >>> key = "test/retrieval/{}->name/learned/recall_at_1".format
      >>> print(headline(result_table({key("sans"): 0.58, key("sans+serif"): 0.66})))
      Together, sans and serif find the right name in 66.0 % of cases (learned);
      sans alone in 58.0 % (learned).
    """
    found = [
        (cell.value, row, method)
        for row in table.rows
        for (method, metric), cell in zip(table.columns, row.cells, strict=True)
        if metric == "recall_at_1" and cell is not None and not row.dropped
    ]
    fused = max((x for x in found if len(x[1].modalities) > 1), key=lambda x: x[0], default=None)
    single = max((x for x in found if len(x[1].modalities) == 1), key=lambda x: x[0], default=None)
    best = fused or single
    if best is None:
        return ""
    names = best[1].modalities
    subject = (
        f"Together, {', '.join(names[:-1])} and {names[-1]} find" if fused else f"{names[0]} finds"
    )
    parts = [f"{subject} the right {table.target} in {100 * best[0]:.1f} % of cases ({best[2]})"]
    if fused and single:
        parts.append(f"{single[1].label} alone in {100 * single[0]:.1f} % ({single[2]})")
    if table.chance is not None:
        parts.append(f"guessing in {100 * table.chance:.1f} %")
    return "; ".join(parts) + "."


def _cell(runs: Sequence[Mapping[str, float]], key: str) -> Cell | None:
    values = [float(run[key]) for run in runs if key in run]
    if not values:
        return None
    if len(runs) > 1:
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return Cell(float(np.mean(values)), spread=spread)
    return Cell(values[0], runs[0].get(f"{key}_low"), runs[0].get(f"{key}_high"))


def _mark_best(
    rows: Sequence[ResultRow], columns: Sequence[tuple[str, str]]
) -> tuple[ResultRow, ...]:
    best = []
    for i, (_, metric) in enumerate(columns):
        values = [cell.value for row in rows if (cell := row.cells[i]) is not None]
        best.append(min(values) if metric == "median_rank" else max(values))

    def mark(cell: Cell | None, top: float) -> Cell | None:
        return None if cell is None else cell._replace(best=cell.value == top)

    return tuple(row._replace(cells=tuple(map(mark, row.cells, best))) for row in rows)
