"""Every example runs as a user would run it, and learns."""

import os
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from crossmodal_jax import fusion

FOLDER = Path(__file__).parents[1] / "examples"
COMPARISON = FOLDER / "compare_fusion.py"
TRANSFORMS = FOLDER / "compare_transforms.py"
EXAMPLES = sorted(set(FOLDER.glob("*.py")) - {COMPARISON, TRANSFORMS})
VECTORS = [name for name, operator in fusion.OPERATORS.items() if operator.kind == "vectors"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_learns(path, capsys):
    runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out
    accuracy = float(re.search(r"test accuracy (\d\.\d+)", printed).group(1))
    # The majority class has 0.5; a third of the entries are missing, 4 % of the samples wholly.
    assert accuracy > 0.8


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_stays_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


def _compare(data, names, monkeypatch):
    folder = Path(os.environ.get("CROSSMODAL_JAX_DATA", FOLDER.parents[1] / "shared" / "data"))
    if data == "mfeat" and not (folder / "mfeat").exists():
        pytest.skip(f"the digits are not in {folder}")
    monkeypatch.setenv("CROSSMODAL_JAX_DATA", str(folder))
    main = runpy.run_path(str(COMPARISON))["main"]
    sizes = ["--seeds", "2", "--steps", "60", "--masks", "1"]
    return main(["--data", data, *sizes, "--only", *names])


@pytest.mark.slow
def test_operators_are_compared_on_digits(monkeypatch, capsys):
    results = _compare("mfeat", ["concat", "gated"], monkeypatch)
    for values in results.values():
        everything, *_, fewest = values.mean(axis=0)
        # Ten classes: chance has 0.1.
        assert everything > 0.9
        assert 0.6 < fewest < everything
    assert "70%" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("data", ["glyphs", "mfeat"])
def test_every_operator_learns_real_data(data, monkeypatch):
    results = _compare(data, VECTORS, monkeypatch)
    for name, values in results.items():
        assert values[:, 0].mean() > (0.9 if data == "mfeat" else 0.4), name


@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_transforms_are_compared(fused):
    example = runpy.run_path(str(TRANSFORMS))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    y = (x @ rng.normal(size=(4, 3)) + 0.1 * rng.normal(size=(60, 3))).astype(np.float32)
    make, splits = example["Split"], []
    for rows in example["random_parts"](60, 40, 2):
        alone = (make([x[:, :2]], y, *rows), make([x[:, 2:]], y, *rows))
        splits.append(make([x[:, :2], x[:, 2:]], y, *rows, alone if fused else ()))
    console = Console(width=80, record=True)
    names = ["ridge", "kernel, then cca"] if fused else ["ridge"]
    results = example["compare"]("fou to kar", splits, names, console)
    printed = console.export_text()
    assert all(name in printed for name in (*names, "R@10"))
    assert results["ridge"][:, 0].min() > 0.9
    for values in results.values():
        _, first, tenth, cycle, _ = values.mean(axis=0)
        # Of 20 rows: chance has 0.05 and 0.5.
        assert 0.2 < first < tenth <= 1
        assert np.isnan(cycle) or cycle > 0


@pytest.mark.slow
def test_transforms_are_compared_on_glyphs(capsys):
    main = runpy.run_path(str(TRANSFORMS))["main"]
    results = main(["--splits", "2", "--only", "ridge", "cca"])
    assert results["Sans to Serif"]["ridge"][:, 0].mean() > 0.5
    assert results["picture to name"]["cca"][:, 1].mean() > 0.2
    assert "picture to name" in capsys.readouterr().out
