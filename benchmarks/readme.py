"""`python -m benchmarks.readme`: writes the table of the README from a committed result file."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "contrastive-cpu-2core.json"
BLOCK = re.compile(r"(?<=<!-- contrastive -->\n).*?(?=<!-- /contrastive -->)", re.DOTALL)
HEADINGS = "loss", "program", "dtype", "time", "floor / time", "error", "memory"
OURS = "jax {dtype} streamed"


def main() -> None:
    """Rewrites the block of the README in place."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(updated(text, json.loads(RESULT.read_text("utf-8"))), encoding="utf-8")


def updated(readme: str, result: dict[str, Any]) -> str:
    """The README with the table of that result."""
    text = _table(result)
    return BLOCK.sub(lambda _: text, readme)


def _table(result: dict[str, Any]) -> str:
    rows, versions = result["rows"], result["versions"]
    lines = [HEADINGS, ("---",) * 2 + ("---:",) * 5, *(_cells(row, rows) for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    device = result["device"]
    peers = ", ".join(f"{name} {versions[name]}" for name in _peers(versions))
    return (
        f"\n{table}\n\n{rows[0]['n']:,} pairs of width {rows[0]['d']}, value and gradient with a "
        "learned scale, in turns in one process:\n"
        f"{device['processor']}, {device['cores']} cores, jax {versions['jax']}, {peers}.\n"
        "Time is a multiple of that of this library in the same dtype, error that of the gradient\n"
        "against float64, memory that beside the arguments as the compiler states it.\n\n"
    )


def _cells(row: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[str, ...]:
    program, dtype, *_ = row["name"].split()
    ours = {"op": row["op"], "name": OURS.format(dtype=dtype)}
    (base,) = (other for other in rows if all(other[k] == v for k, v in ours.items()))
    memory = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**20:.0f} MiB"
    return (
        f"`{row['op']}`",
        "this library" if program == "jax" else program,
        dtype,
        f"{row['median_s'] / base['median_s']:.1f}",
        f"{row['floor_ratio']:.2f}",
        f"{row['error']:.0e}",
        memory,
    )


def _peers(versions: dict[str, str]) -> list[str]:
    return [name for name in ("torch", "open_clip_torch") if name in versions]


if __name__ == "__main__":
    main()
