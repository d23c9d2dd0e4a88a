"""Values as a person writes them, the same in every form of the report."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from crossmodal_jax.reporting._table import Cell

_OTHER_TASK = re.compile(r"test/(?P<task>(?!retrieval/).+)/(?P<method>[^/]+)/(?P<metric>[^/]+)")


def format_cell(cell: Cell | None, metric: str) -> tuple[str, str]:
    """A cell as text: the value, and what is known of its uncertainty.

    Args:
      cell: A cell of `result_table`, or None.
      metric: The metric of its column; recalls are shown in percent.

    Returns:
      Value and uncertainty; the second is empty where nothing is known.

    Examples:
      >>> from crossmodal_jax.reporting._table import Cell
      >>> format_cell(Cell(0.664, low=0.62, high=0.706), "recall_at_1")
      ('66.4', '62.0–70.6')
    """
    if cell is None:
        return "–", ""
    scale, digits = (1, 0) if metric == "median_rank" else (100, 1)
    # A median of an even number of ranks, or a mean over runs, may end in a half.
    digits = 1 if metric == "median_rank" and cell.value % 1 else digits

    def show(x: float) -> str:
        return f"{scale * x:.{digits}f}"

    if cell.spread is not None:
        return show(cell.value), f"± {scale * cell.spread:.1f}"
    if cell.low is None or cell.high is None:
        return show(cell.value), ""
    return show(cell.value), f"{show(cell.low)}–{show(cell.high)}"


def format_number(value: Any) -> str:
    """Shows a value as a person writes it: few digits, thousands apart, words for truth."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        # A narrow no-break space; years and code points below 10,000 stay whole.
        return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(format_number, value)) or "–"
    return "–" if value is None else str(value)


class Task(NamedTuple):
    """Test results of one task but retrieval: a row per method, a column per metric."""

    name: str
    metrics: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def other_tasks(metrics: Mapping[str, float]) -> list[Task]:
    """Gathers the test results of every task but retrieval, as pairs of value and interval."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for key in metrics:
        match = _OTHER_TASK.fullmatch(key)
        if match is not None and not match["metric"].endswith(("_low", "_high")):
            task = found.setdefault(match["task"], {})
            task.setdefault(match["method"], {})[match["metric"]] = None
    return [_task(metrics, task, methods) for task, methods in found.items()]


def _task(
    metrics: Mapping[str, float], task: str, methods: Mapping[str, Mapping[str, None]]
) -> Task:
    columns = dict.fromkeys(metric for found in methods.values() for metric in found)
    rows = []
    for method in methods:
        keys = [f"test/{task}/{method}/{metric}" for metric in columns]
        rows.append((method, tuple(_value_and_interval(metrics, key) for key in keys)))
    name = task.replace("/", " ").replace("->", " → ").replace("+", " + ")
    headings = (metric.replace("_", " ").replace("r2", "R²") for metric in columns)
    return Task(name, tuple(headings), tuple(rows))


def _value_and_interval(metrics: Mapping[str, float], key: str) -> tuple[str, str]:
    if key not in metrics:
        return "–", ""
    low, high = metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
    interval = "" if low is None or high is None else f"{low:.3f}–{high:.3f}"
    return f"{metrics[key]:.3f}", interval


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the leaves of nested mappings with their dotted names."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
