"""The command on real data. Compilation alone takes half a minute, so this is the slow lane."""

import json
import os
import signal
import subprocess
import sys

import pytest

from crossmodal_jax.cli import main

pytestmark = pytest.mark.slow

TINY = [
    *("--prepare.num-test", "40", "--prepare.num-validation", "40", "--prepare.max-samples", "500"),
    *("--features.picture-columns", "128", "--features.picture-dim", "32"),
    *("--features.word-columns", "256", "--features.character-columns", "256"),
    *("--features.name-dim", "32", "--features.outline-dim", "8"),
    *("--closed-form.dims", "16", "--closed-form.cca-l2", "0.1", "--closed-form.ridge-l2", "0.1"),
    *("--learned.hidden", "32", "--learned.dim", "16", "--learned.num-steps", "4"),
    *("--learned.batch-size", "64", "--learned.steps-per-dispatch", "2"),
    *("--sweep.num-steps", "2", "--sweep.batch-size", "32"),
    *("--sweep.learning-rates", "0.001", "--sweep.weight-decays", "0.1"),
    *("--evaluate.num-resamples", "20", "--evaluate.num-queries-shown", "4"),
]
FUSED = "test/retrieval/sans+serif+mono->name"


def check(folder):
    """Checks that a run has left what it promises."""
    metrics = json.loads((folder / "metrics.json").read_text())
    for method in ("cca", "learned"):
        for source in (FUSED, FUSED.replace("->", "|drop1->"), FUSED.replace("+serif+mono", "")):
            assert 0 <= metrics[f"{source}/{method}/recall_at_1"] <= 1
    assert all(isinstance(value, int | float) for value in metrics.values())
    for name in ("config.json", "metrics.jsonl", "checkpoints", "report.html", "model_card.md"):
        assert (folder / name).exists()
    report = (folder / "report.html").read_text()
    assert len(report) < 3_000_000
    for part in ("Results", "Similarity", "The fused space", "Translation", "Training"):
        assert f"<h2>{part}</h2>" in report
    return metrics


def test_a_tiny_run_leaves_a_report(tmp_path, capsys):
    folder = tmp_path / "runs" / "tiny"
    argv = ["run", "--output", str(folder), *TINY]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "sans + serif + mono" in out
    assert "Together, sans, serif and mono find the right name in" in out
    left = ("report.html", "model_card.md", "metrics.json")
    assert out.splitlines()[-3:] == [str(folder / name) for name in left]
    metrics = check(folder)

    assert main(argv) == 2
    assert "--resume" in capsys.readouterr().err
    assert json.loads((folder / "metrics.json").read_text()) == metrics


def test_a_quick_run_that_is_stopped_can_be_resumed(tmp_path):
    program = "import sys; from crossmodal_jax.cli import main; sys.exit(main())"
    argv = [sys.executable, "-c", program, "run", "--quick", "--output", str(tmp_path / "x")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            if line.rstrip().endswith("train ..."):
                break
        os.kill(run.pid, signal.SIGTERM)
        _, err = run.communicate(timeout=120)
    assert run.returncode == 143
    assert err.startswith("crossmodal-jax: interrupted; go on with: ")
    assert not (tmp_path / "x" / "metrics.json").exists()
    done = subprocess.run([*argv, "--resume"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    check(tmp_path / "x")
