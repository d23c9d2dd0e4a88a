"""From the command line to an exit code: parse, do, and say in one line what went wrong."""

import contextlib
import difflib
import importlib
import importlib.util
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

from crossmodal_jax import __version__
from crossmodal_jax.cli._errors import CommandError

VERBS = {
    "run": "Prepare, extract features, learn, evaluate and report, in one folder.",
}
"""Verb -> what it does. The module `_<verb>` has `command(program, argv)`, which parses."""

_PROGRAM = "crossmodal-jax"
_NEEDS = ("tyro", "matplotlib", "jinja2")


class Terminated(KeyboardInterrupt):
    """The process was asked to end; what handles Ctrl-C handles this too."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `crossmodal-jax <verb> [options]`.

    Args:
      argv: Words after the name of the program; those of the process by default.

    Returns:
      0 if all went well; 2 for a command line that makes no sense or an output that exists;
      1 if something cannot be read or written; 130 after Ctrl-C, 143 after SIGTERM.

    Examples:
      >>> from crossmodal_jax.cli import main
      >>> main(["--version"])  # doctest: +ELLIPSIS
      crossmodal-jax ...
      0
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["--version"]:
        print(_PROGRAM, __version__)
        return 0
    if argv[:1] in (["--help"], ["-h"]):
        print(_help())
        return 0
    if not argv:
        print(_help(), file=sys.stderr)
        return 2
    if argv[0] not in VERBS:
        return _fail(2, _no_such_verb(argv[0]))
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        return _fail(1, f"{', '.join(missing)} not installed; pip install 'crossmodal-jax[cli]'.")
    verb = importlib.import_module(f"crossmodal_jax.cli._{argv[0]}")
    try:
        command = verb.command(f"{_PROGRAM} {argv[0]}", argv[1:])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    except ValueError as error:
        return _fail(2, str(error))
    return _guard(command, argv)


def _guard(command: Callable[[], int], argv: Sequence[str]) -> int:
    try:
        with _terminable():
            return command()
    except KeyboardInterrupt as interrupt:
        words = [word for word in argv if word not in {"--overwrite", "--resume"}]
        again = shlex.join([_PROGRAM, *words, "--resume"])
        code = 143 if isinstance(interrupt, Terminated) else 130
        return _fail(code, f"interrupted; go on with: {again}")
    except CommandError as error:
        return _fail(error.code, str(error))
    except OSError as error:
        named = error.filename is not None
        return _fail(
            1, f"{error.filename}: {error.strerror}" if named else error.strerror or str(error)
        )


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = [f"  {verb:<{width}}  {about}" for verb, about in VERBS.items()]
    return "\n".join(
        [
            f"usage: {_PROGRAM} <verb> [options]",
            "",
            "Cross-modal learning in JAX: fuse modalities, transform one into another, learn both.",
            "",
            "verbs:",
            *verbs,
            "",
            "options:",
            f"  --help     this text; {_PROGRAM} <verb> --help lists the options of a verb",
            "  --version  the version",
        ]
    )


def _no_such_verb(word: str) -> str:
    near = difflib.get_close_matches(word, [*VERBS, "--help", "--version"], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"the verbs are: {', '.join(VERBS)}."
    return f"there is no {word!r}; {hint}"


def _fail(code: int, message: str) -> int:
    print(f"{_PROGRAM}: {' '.join(message.split())}", file=sys.stderr)
    return code


def _terminate(*_: object) -> None:
    raise Terminated


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    try:
        previous = signal.signal(signal.SIGTERM, _terminate)
    except ValueError:
        # Not the main thread: the program around us decides about signals.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
