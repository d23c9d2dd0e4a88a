"""The verb `run`: the whole story, from raw data to a report, in one folder."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crossmodal_jax import pipeline
from crossmodal_jax.cli._errors import CommandError
from crossmodal_jax.cli._parse import parse_config

_ABOUT = """\
Prepare, extract features, learn, evaluate and report, in one folder.

Without options it runs on data that is built in, in about two minutes on two cores.
Several seeds, as in --seed 0,1,2, make a run each, and a table of their means.
"""


def command(program: str, argv: Sequence[str]) -> Callable[[], int]:
    """Reads the options of a run.

    Args:
      program: What stands before the options, for messages.
      argv: The options.

    Returns:
      The run, ready to be started; it returns an exit code.

    Raises:
      SystemExit: After help or an error was printed.
      ValueError: If values do not make a valid configuration.
    """
    seeds, argv = _split_seeds(argv)
    config = parse_config(pipeline.RunConfig, program, argv, about=_ABOUT)
    return functools.partial(_run, config, seeds)


def _split_seeds(argv: Sequence[str]) -> tuple[tuple[int, ...], list[str]]:
    # The configuration of a run has one seed. Of a list it gets the first; what is no list
    # of numbers stays as it is and is refused with the other options.
    seeds: tuple[int, ...] = ()
    words: list[str] = []
    for word in argv:
        flag, equals, value = word.partition("=")
        numbers = (value if equals else word).split(",")
        is_seed = flag == "--seed" if equals else words[-1:] == ["--seed"]
        if is_seed and len(numbers) > 1 and all(number.isdecimal() for number in numbers):
            seeds = tuple(map(int, numbers))
            word = f"--seed={seeds[0]}" if equals else numbers[0]
        words.append(word)
    return seeds, words


def _run(config: pipeline.RunConfig, seeds: Sequence[int]) -> int:
    if config.output.exists() and not (config.resume or config.overwrite):
        raise CommandError(
            2,
            f"{config.output} exists; go on with it by --resume, replace it by --overwrite, "
            "or choose another --output.",
        )
    # Imported late: `--help` need not wait for them.
    import rich.console

    from crossmodal_jax.cli._watch import watch

    console = rich.console.Console(highlight=False)
    with watch(console, names=[f"seed {seed}" for seed in seeds]) as on_event, _explained():
        if seeds:
            runs = pipeline.run_seeds(config, seeds, on_event=on_event)
        else:
            runs = [pipeline.run(config, on_event=on_event)]
    _show(console, runs, config.output)
    return 0


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise CommandError(2, str(error)) from error
    except ValueError as error:
        # An error of ours names the function that refuses its arguments. Only those of the
        # run itself come from the command line; any other is a bug and keeps its traceback.
        if not str(error).startswith(("run: ", "run_seeds: ")):
            raise
        raise CommandError(2, str(error)) from error
    except RuntimeError as error:
        from crossmodal_jax.training import CheckpointError

        if not isinstance(error, CheckpointError):
            raise
        raise CommandError(1, str(error)) from error


def _show(console: Any, runs: Sequence[Mapping[str, float]], output: Path) -> None:
    from crossmodal_jax import reporting

    table = reporting.result_table(runs)
    console.print()
    if console.is_terminal:
        console.print(reporting.rich_table(table, width=console.width))
    else:
        console.print(reporting.plain_table(table, width=120), markup=False, soft_wrap=True)
    console.print()
    console.print(reporting.headline(table), markup=False, soft_wrap=not console.is_terminal)
    console.print()
    for path in _left_behind(output):
        # One line each, however narrow the terminal: a path that is broken cannot be opened.
        console.print(str(path), markup=False, soft_wrap=True)


def _left_behind(output: Path) -> list[Path]:
    names = ("report.html", "model_card.md", "metrics.json")
    found = [output / name for name in names]
    # Several seeds leave a folder each.
    found += [path for name in names for path in sorted(output.glob(f"*/{name}"))]
    return [path for path in found if path.is_file()]
