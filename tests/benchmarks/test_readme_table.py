"""The table of the README is that of a committed result file."""

import json

NAMES = ("siglip_loss", "open_clip bfloat16"), ("siglip_loss", "jax bfloat16 streamed")


def test_table_is_that_of_the_result_file(load):
    readme = load("readme")
    text = (readme.ROOT / "README.md").read_text(encoding="utf-8")
    result = json.loads(readme.RESULT.read_text(encoding="utf-8"))
    assert readme.updated(text, result) == text, "run `python -m benchmarks.readme`"
    # What the table says, once more from the file: of a program, and beside it this library.
    (peer, ours) = (
        next(row for row in result["rows"] if (row["op"], row["name"]) == name) for name in NAMES
    )
    cells = f"{peer['median_s'] / ours['median_s']:.1f} | {peer['floor_ratio']:.2f}"
    assert f"| `siglip_loss` | open_clip | bfloat16 | {cells} |" in text
