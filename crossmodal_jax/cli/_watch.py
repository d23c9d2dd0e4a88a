"""What a run shows while it runs: a list with bars on a terminal, dated lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import rich.console
import rich.live
import rich.progress_bar
import rich.spinner
import rich.table
import rich.text

from crossmodal_jax.pipeline import STAGES, Progress, StageFinished, StageStarted

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def watch(
    console: rich.console.Console, *, names: Sequence[str] = ()
) -> Iterator[Callable[[Any], None]]:
    """Shows the progress of one run after the other for the length of a `with` block.

    Args:
      console: Where to print.
      names: What to call each run, in order; may be empty if there is only one.

    Yields:
      A function that takes the events of the runs.
    """
    if not console.is_terminal:
        yield _Lines(console, names)
        return
    # Free columns at the end of the rows: the `^C` of a terminal then starts no new row.
    view = _List(names, width=console.width - 3)
    with rich.live.Live(get_renderable=view.render, console=console, refresh_per_second=8):
        yield view


class _Lines:
    """A line with the time of day for each event that matters."""

    def __init__(self, console: rich.console.Console, names: Sequence[str]):
        self._console = console
        self._names = iter(names)
        self._next = 0.0

    def __call__(self, event: Any) -> None:
        stage = _words(event.stage)
        if isinstance(event, StageStarted):
            if event.stage == STAGES[0] and (name := next(self._names, "")):
                self._print(name)
            self._next = time.monotonic() + _SECONDS_BETWEEN_LINES
            self._print(f"{stage} ...")
        elif isinstance(event, Progress) and time.monotonic() >= self._next:
            self._next = time.monotonic() + _SECONDS_BETWEEN_LINES
            self._print(f"{stage} {event.step}/{event.num_steps}  {_values(event.metrics)}")
        elif isinstance(event, StageFinished):
            self._print(f"{stage} done in {event.seconds:.1f} s  {event.summary}")

    def _print(self, text: str) -> None:
        line = f"{time.strftime('%H:%M:%S')}  {text}".rstrip()
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        # Whoever reads a log wants the line now, not when the buffer is full.
        self._console.file.flush()


class _List:
    """Every stage in a row of its own, those to come included."""

    def __init__(self, names: Sequence[str], *, width: int):
        self._names = iter(names)
        self._name = ""
        self._width = width
        self._spinner = rich.spinner.Spinner("dots", style="cyan")
        self._clear()

    def __call__(self, event: Any) -> None:
        if isinstance(event, StageStarted):
            if event.stage == STAGES[0]:
                self._name = next(self._names, "")
                self._clear()
            self._started[event.stage] = time.monotonic()
        elif isinstance(event, Progress):
            self._steps[event.stage] = (event.step, event.num_steps)
            self._notes[event.stage] = _values(event.metrics)
        elif isinstance(event, StageFinished):
            self._seconds[event.stage] = event.seconds
            self._notes[event.stage] = event.summary

    def render(self) -> rich.table.Table:
        """The list as it stands now."""
        table = rich.table.Table.grid(padding=(0, 1, 0, 0))
        table.width = self._width
        table.add_column(width=1)
        table.add_column(no_wrap=True, width=max(map(len, STAGES)))
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column(width=12)
        table.add_column(justify="right", no_wrap=True, width=7)
        if self._name:
            table.add_row("", rich.text.Text(self._name, style="bold"))
        for stage in STAGES:
            table.add_row(*self._row(stage))
        return table

    def _row(self, stage: str) -> tuple[Any, ...]:
        name, note = _words(stage), self._notes.get(stage, "")
        if stage in self._seconds:
            seconds = f"{self._seconds[stage]:.1f} s"
            done = rich.text.Text("✓", style="green")
            return done, name, rich.text.Text(note), "", rich.text.Text(seconds, style="dim")
        if stage not in self._started:
            return "", rich.text.Text(name, style="dim")
        step, num_steps = self._steps.get(stage, (0, None))
        bar = rich.progress_bar.ProgressBar(num_steps, step, width=12) if num_steps else ""
        seconds = f"{time.monotonic() - self._started[stage]:.0f} s"
        return self._spinner, name, rich.text.Text(note), bar, seconds

    def _clear(self) -> None:
        self._started: dict[str, float] = {}
        self._steps: dict[str, tuple[int, int]] = {}
        self._seconds: dict[str, float] = {}
        self._notes: dict[str, str] = {}


def _words(name: str) -> str:
    return name.replace("_", " ")


def _values(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{_words(name)} {value:.4g}" for name, value in metrics.items())
