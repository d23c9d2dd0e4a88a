"""The result as a table: ruled on a terminal, plain text elsewhere."""

import sys
from typing import Any

HEADINGS = ("case", "median", "quartiles", "rows/s", "floor/time", "compile", "temporary", "error")


def print_table(rows: list[dict[str, Any]]) -> None:
    """Prints one line per case; a ratio that cannot be is marked."""
    cells = [_cells(row) for row in rows]
    if sys.stdout.isatty():
        _print_rich(cells, rows)
        return
    widths = [max(map(len, column)) for column in zip(HEADINGS, *cells, strict=True)]
    for line in [HEADINGS, *cells]:
        name, *others = (
            f"{cell:>{width}}" if i else f"{cell:<{width}}"
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([name, *others]).rstrip())


def _print_rich(cells: list[tuple[str, ...]], rows: list[dict[str, Any]]) -> None:
    import rich.box
    import rich.console
    import rich.table

    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for i, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if i else "left", overflow="fold")
    for line, row in zip(cells, rows, strict=True):
        table.add_row(*line, style="bold red" if row["above_ceiling"] else None)
    rich.console.Console(markup=False).print(table)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    name = f"{row['op']} {row['spec']} {row['implementation']} {row['mode']}"
    lower, upper = row["quartiles_s"]
    return (
        name,
        _seconds(row["median_s"]),
        f"{_seconds(lower)} - {_seconds(upper)}",
        "-" if row["rows_per_s"] is None else f"{row['rows_per_s']:,.0f}",
        f"{row['floor_ratio']:.2f}" + ("!" if row["above_ceiling"] else ""),
        _seconds(row["compile_s"]),
        "?" if row["temp_bytes"] is None else f"{row['temp_bytes'] / 2**20:.1f} MiB",
        "not finite" if row["error"] is None else f"{row['error']:.0e}",
    )


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-6:.3g} us"
