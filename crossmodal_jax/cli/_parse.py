"""Options of a verb from its configuration, a frozen dataclass. Nothing here imports jax."""

import dataclasses
import difflib
import itertools
import sys
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeVar

import tyro

C = TypeVar("C")


def parse_config(cls: type[C], program: str, argv: Sequence[str], *, about: str) -> C:
    """Reads the options of a verb: every field of the dataclass is one.

    Args:
      cls: The dataclass; the docstrings of its fields are the help.
      program: What stands before the options, for messages.
      argv: The options.
      about: What the verb does, for the help.

    Returns:
      The configuration.

    Raises:
      SystemExit: With 0 after the help was printed, with 2 after an error was explained.
      ValueError: If values do not make a valid configuration.
    """
    try:
        return tyro.cli(cls, prog=program, description=about, args=list(argv))
    except SystemExit as stop:
        if stop.code == 2:
            # tyro names the nearest option; this is the nearest value, where there are few.
            for flag, guess in _better_values(cls, argv):
                print(f"Did you mean {flag} {guess}?", file=sys.stderr)
        raise


def _better_values(cls: Any, argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    choices = dict(_choices(cls))
    words = [part for word in argv for part in word.split("=", 1)]
    for flag, value in itertools.pairwise(words):
        options = choices.get(flag.replace("_", "-"), ())
        if options and value not in options:
            near = difflib.get_close_matches(value, options, n=1, cutoff=0.5)
            yield from ((flag, guess) for guess in near)


def _choices(cls: Any, prefix: str = "--") -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, hint in typing.get_type_hints(cls).items():
        flag = f"{prefix}{name.replace('_', '-')}"
        if typing.get_origin(hint) is Literal:
            yield flag, tuple(map(str, typing.get_args(hint)))
        elif dataclasses.is_dataclass(hint):
            yield from _choices(hint, f"{flag}.")
