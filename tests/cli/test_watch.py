"""Progress on a terminal and in a log."""

import io
import re

import pytest
import rich.console

from crossmodal_jax.cli import _watch
from crossmodal_jax.cli._watch import watch
from crossmodal_jax.pipeline import STAGES, Progress, StageFinished, StageStarted


def console(width=80, *, terminal=True, **options):
    return rich.console.Console(file=io.StringIO(), width=width, force_terminal=terminal, **options)


def frame(view, width=80):
    output = console(width, no_color=True)
    output.print(view.render())
    return re.sub(r"\x1b\[[0-9;]*m", "", output.file.getvalue()).splitlines()


def test_a_log_has_a_dated_line_for_each_stage(play):
    output = console(terminal=False)
    with watch(output) as on_event:
        play(on_event)
    lines = output.file.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d  \S", line) for line in lines)
    # Steps that follow each other at once are not worth a line each.
    assert len(lines) == 2 * len(STAGES)
    assert lines[-1].endswith("report done in 1.2 s  [b]report[/b] went well")
    assert "\x1b" not in output.file.getvalue()


def test_a_log_tells_of_progress_once_in_a_while(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(_watch.time, "monotonic", lambda: clock[0])
    output = console(terminal=False)
    with watch(output) as on_event:
        on_event(StageStarted("train"))
        for step in range(1, 101):
            clock[0] += 0.25
            on_event(Progress("train", step, 100, {"loss": 1 / step}))
    lines = output.file.getvalue().splitlines()
    assert len(lines) == 1 + 5
    assert lines[1].endswith("train 20/100  loss 0.05")


def test_runs_are_named_in_turn(play):
    output = console(terminal=False)
    with watch(output, names=["seed 0", "seed 7"]) as on_event:
        play(on_event)
        play(on_event)
    text = output.file.getvalue()
    assert text.index("seed 0") < text.index("report done") < text.index("seed 7")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_shows_every_stage_in_one_row(width):
    view = _watch._List([], width=width - 3)
    view(StageStarted("prepare"))
    view(StageFinished("prepare", 3.04, "5,818 [characters] " + "long " * 40))
    view(StageStarted("train"))
    view(Progress("train", 25, 100, {"loss": 2.5, "recall_at_1": 0.5}))
    lines = frame(view, width)
    assert len(lines) == len(STAGES)
    assert max(map(len, lines)) <= width - 3
    assert lines[0].startswith("✓ prepare")
    assert lines[0].rstrip().endswith("3.0 s")
    assert "━" in lines[STAGES.index("train")]
    assert lines[-1].strip() == "report"
    if width >= 80:
        assert "5,818 [characters]" in lines[0]
        assert "loss 2.5  recall at 1 0.5" in lines[STAGES.index("train")]


def test_the_list_starts_afresh_with_the_next_run(play):
    view = _watch._List(["seed 0", "seed 1"], width=77)
    play(view)
    assert frame(view)[0].strip() == "seed 0"
    assert "✓" in frame(view)[-1]
    view(StageStarted(STAGES[0]))
    assert frame(view)[0].strip() == "seed 1"
    assert not any("✓" in line for line in frame(view))


def test_a_live_terminal_ends_with_the_finished_list(play):
    output = console()
    with watch(output) as on_event:
        play(on_event)
    assert output.file.getvalue().count("✓") >= len(STAGES)


def test_no_color_is_honoured(play, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    output = console()
    with watch(output) as on_event:
        play(on_event)
    # Bold and dim may stay; colours, 3x and 4x, may not.
    assert not re.search(r"\x1b\[(?:\d+;)*[34]\d", output.file.getvalue())
