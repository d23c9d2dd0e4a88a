"""The headline table as text: for a log, and for a terminal."""

from typing import Any

from crossmodal_jax.reporting._format import format_cell
from crossmodal_jax.reporting._table import METRICS, Cell, ResultTable

_NARROWER = (
    ("recall_at_1", "recall_at_5", "recall_at_10", "median_rank"),
    ("recall_at_1", "recall_at_10", "median_rank"),
    ("recall_at_1", "median_rank"),
    ("recall_at_1",),
)


def plain_table(table: ResultTable, *, width: int | None = None) -> str:
    """The table as plain text, for logs and pipes.

    Args:
      table: What `result_table` returns.
      width: Columns of text at most; less important metrics are left out to fit.

    Returns:
      Lines without trailing blanks; the best of a column carries a `*`.

    Examples:
      >>> from crossmodal_jax.reporting import plain_table, result_table
      >>> key = "test/retrieval/{}->name/cca/recall_at_1".format
      >>> print(plain_table(result_table({key("sans"): 0.45, key("mono"): 0.4})))
      to name    cca
      from       R@1
      sans     45.0*
      mono     40.0
      R@k in percent
    """
    table = _fit(table, width)
    columns = [[f"to {table.target}", "from", *(row.label for row in table.rows)]]
    for i, (method, metric) in enumerate(table.columns):
        cells = [row.cells[i] for row in table.rows]
        columns.append([method, METRICS[metric], *(_cell_text(cell, metric) for cell in cells)])
    sizes = [max(map(len, column)) for column in columns]
    lines = []
    for first, *others in zip(*columns, strict=True):
        cells = [f"{text:>{size}}" for text, size in zip(others, sizes[1:], strict=True)]
        lines.append("  ".join([f"{first:<{sizes[0]}}", *cells]).rstrip())
    return "\n".join([*lines, *_notes(table)])


def rich_table(table: ResultTable, *, width: int | None = None) -> Any:
    """The table for a terminal, as something that a `rich` console prints.

    Args:
      table: What `result_table` returns.
      width: Columns of text at most; less important metrics are left out to fit.

    Returns:
      A `rich.table.Table`; the best of a column is bold.

    Examples:
      >>> from crossmodal_jax.reporting import result_table, rich_table
      >>> rich_table(result_table({"test/retrieval/a->b/cca/recall_at_1": 0.5})).row_count
      1
    """
    import rich.box
    import rich.table
    import rich.text

    # Text, not strings, everywhere: a string is read as markup, and names are untrusted.
    table = _fit(table, width)
    # With the blank between columns that the box brings, a gap is two wide, as in `_width`.
    shown = rich.table.Table(
        box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False
    )
    shown.add_column(rich.text.Text(f"to {table.target}\nfrom"), no_wrap=True)
    for method, metric in table.columns:
        heading = rich.text.Text(f"{method}\n{METRICS[metric]}")
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in table.rows:
        cells = [rich.text.Text(row.label)]
        for (_, metric), cell in zip(table.columns, row.cells, strict=True):
            value, interval = format_cell(cell, metric)
            best = cell is not None and cell.best
            text = rich.text.Text(value, style="bold green" if best else "")
            cells.append(text.append(f" {interval}" if interval else "", style="dim"))
        shown.add_row(*cells)
    notes = _notes(table)
    shown.caption = rich.text.Text("\n".join(notes)) if notes else None
    shown.caption_justify = "left"
    return shown


def _cell_text(cell: Cell | None, metric: str) -> str:
    value, interval = format_cell(cell, metric)
    star = "*" if cell is not None and cell.best else " "
    return f"{value} {interval}{star}" if interval else f"{value}{star}"


def _fit(table: ResultTable, width: int | None) -> ResultTable:
    for shown in _NARROWER:
        fitted = _select(table, shown)
        if width is None or _width(fitted) <= width:
            return fitted
    return fitted


def _select(table: ResultTable, shown: tuple[str, ...]) -> ResultTable:
    kept = [i for i, (_, metric) in enumerate(table.columns) if metric in shown]
    rows = [row._replace(cells=tuple(row.cells[i] for i in kept)) for row in table.rows]
    return table._replace(columns=tuple(table.columns[i] for i in kept), rows=tuple(rows))


def _width(table: ResultTable) -> int:
    labels = [f"to {table.target}", *(row.label for row in table.rows)]
    total = max(map(len, labels))
    for i, (method, metric) in enumerate(table.columns):
        cells = [_cell_text(row.cells[i], metric) for row in table.rows]
        total += 2 + max(map(len, [method, METRICS[metric], *cells]))
    return total


def _notes(table: ResultTable) -> list[str]:
    recalls = [
        row.cells[i]
        for row in table.rows
        for i, (_, metric) in enumerate(table.columns)
        if metric != "median_rank"
    ]
    if not recalls:
        return []
    note = "R@k in percent"
    if any(cell is not None and cell.spread is not None for cell in recalls):
        note += f", mean ± standard deviation over {table.num_runs} seeds"
    if any(cell is not None and cell.low is not None for cell in recalls):
        note += ", with 95 % bootstrap intervals"
    if table.chance is not None:
        note += f"; guessing {100 * table.chance:.1f}"
    return [note]
