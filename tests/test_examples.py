"""Every example runs as a user would run it, and learns."""

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


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
