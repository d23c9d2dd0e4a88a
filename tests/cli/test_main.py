"""Exit codes, and the one line that explains each."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading

import pytest

from crossmodal_jax.cli import main
from crossmodal_jax.reporting import WriteError
from crossmodal_jax.training import CheckpointError


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Runs in an empty folder, so that the default output is new."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one_line(text):
    assert text.startswith("crossmodal-jax: ")
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text


@pytest.mark.parametrize("word", ["--version", "--help", "-h"])
def test_version_and_help_go_to_stdout(capsys, word):
    assert main([word]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("crossmodal-jax 0." if word == "--version" else "usage: crossmodal-jax")
    assert err == ""


def test_no_verb_shows_the_help_as_an_error(capsys):
    assert main([]) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(("verb", "hint"), [("rum", "'run'?"), ("x", "the verbs are: run")])
def test_an_unknown_verb_is_answered_with_the_nearest(capsys, verb, hint):
    assert main([verb]) == 2
    assert hint in one_line(capsys.readouterr().err)


def test_a_configuration_that_makes_no_sense_is_explained(capsys, stub, there):
    assert main(["run", "--resume", "--overwrite"]) == 2
    err = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "`resume` and `overwrite` exclude each other" in err
    assert "Traceback" not in err
    assert stub.configs == []


def test_an_unknown_option_does_not_start_a_run(stub, there):
    assert main(["run", "--quik"]) == 2
    assert stub.configs == []


def test_a_run_shows_its_stages_and_what_it_left(stub, there, capsys):
    assert main(["run"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "[b]closed_form[/b] went well" in out
    assert "closed form done in 1.2 s" in out
    assert "sans + serif" in out
    assert "70.0 66.0–74.0*" in out
    assert "Together, sans and serif find the right name in 70.0 % of cases (learned)" in out
    left = ["report.html", "model_card.md", "metrics.json"]
    assert out.splitlines()[-3:] == [f"runs/glyphs/{name}" for name in left]


def test_an_output_that_exists_is_refused_unless_told_what_to_do(stub, there, capsys):
    (there / "x").mkdir()
    assert main(["run", "--output", "x"]) == 2
    line = one_line(capsys.readouterr().err)
    assert "x exists" in line
    assert "--resume" in line
    assert "--overwrite" in line
    assert stub.configs == []
    assert main(["run", "--output", "x", "--resume"]) == 0
    assert main(["run", "--output", "x", "--overwrite"]) == 0
    assert [(c.resume, c.overwrite) for c in stub.configs] == [(True, False), (False, True)]


def test_ctrl_c_says_how_to_go_on(stub, there, capsys):
    stub.failure = KeyboardInterrupt()
    assert main(["run", "--quick", "--overwrite", "--output", "a b"]) == 130
    line = one_line(capsys.readouterr().err)
    assert line.endswith("go on with: crossmodal-jax run --quick --output 'a b' --resume\n")


def test_sigterm_is_an_interrupt_too_and_its_handler_goes(stub, there, capsys):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    seen = []

    def killed():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        except KeyboardInterrupt:
            seen.append("checkpoint")
            raise

    stub.action = killed
    assert main(["run"]) == 143
    assert seen == ["checkpoint"]
    assert "--resume" in one_line(capsys.readouterr().err)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_thread_that_is_not_the_main_one_may_run(stub, there):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["run"])))
    thread.start()
    thread.join()
    assert codes == [0]


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (PermissionError(13, "Permission denied", "runs/x"), "runs/x: Permission denied"),
        (WriteError(28, "cannot write runs/m.json: No space left"), "cannot write runs/m.json"),
        (OSError("no more"), "no more"),
    ],
)
def test_what_cannot_be_written_is_named_without_a_traceback(stub, there, capsys, failure, text):
    stub.failure = failure
    assert main(["run"]) == 1
    assert text in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ValueError("run: runs/glyphs was started with another configuration; resume it."), 2),
        (FileExistsError("runs/glyphs is no folder of a run; choose another --output."), 2),
        (CheckpointError("checkpoint: runs/glyphs/checkpoints/step_2/a is damaged."), 1),
    ],
)
def test_what_the_run_refuses_is_said_in_its_words(stub, there, capsys, failure, code):
    stub.failure = failure
    assert main(["run"]) == code
    assert one_line(capsys.readouterr().err) == f"crossmodal-jax: {failure}\n"


@pytest.mark.parametrize("bug", [ZeroDivisionError, ValueError, RuntimeError])
def test_a_bug_is_not_hidden(stub, there, bug):
    stub.failure = bug("clip_loss: a bug")
    with pytest.raises(bug, match="clip_loss: a bug"):
        main(["run"])


def test_a_missing_extra_is_named(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tyro" else find(name)
    )
    assert main(["run"]) == 1
    assert "tyro not installed; pip install 'crossmodal-jax[cli]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code"), [(["--version"], 0), (["run", "--help"], 0), (["rum"], 2), (["run", "-x"], 2)]
)
def test_the_process_exits_with_the_code(argv, code):
    program = [sys.executable, "-c", "import sys; from crossmodal_jax.cli import main; "]
    program[-1] += "sys.exit(main())"
    done = subprocess.run([*program, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert (done.stdout == "") == (code != 0)
