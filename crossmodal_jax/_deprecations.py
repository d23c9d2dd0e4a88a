"""Old public names: a dated table, and the module `__getattr__` that serves it."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from crossmodal_jax import __version__


class Deprecation(NamedTuple):
    """An old public name, what replaces it, and when it goes.

    Attributes:
      replacement: Dotted path of the new name, `crossmodal_jax.losses.clip_loss`.
      since: Version whose changelog announced the change.
      date: Day of that release, `YYYY-MM-DD`.
      removed_in: First version in which the old name is an error.
    """

    replacement: str
    since: str
    date: str
    removed_in: str


DEPRECATIONS: Mapping[str, Mapping[str, Deprecation]] = {}
"""Room name → old name → its `Deprecation`. A room with a row sets `__getattr__` from it."""


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3])


def deprecated_getattr(
    room: str,
    table: Mapping[str, Deprecation] | None = None,
    *,
    version: str = __version__,
) -> Callable[[str], Any]:
    """Makes a module `__getattr__` that warns for old names until they are removed.

    Args:
      room: Full name of the module, `crossmodal_jax.losses`.
      table: Old name → `Deprecation`. None takes the room's rows of `DEPRECATIONS`.
      version: The version that decides between the warning and the error.

    Returns:
      A function to be assigned to `__getattr__` in the room's `__init__.py`. It returns the
      replacement with a `DeprecationWarning`, and raises `AttributeError` from the version of
      removal on, and for every name that the table does not hold.

    Examples:
      >>> row = Deprecation("math.sqrt", since="0.1.0", date="2026-01-31", removed_in="0.3.0")
      >>> lookup = deprecated_getattr("room", {"root": row}, version="0.3.0")
      >>> lookup("root")
      Traceback (most recent call last):
      ...
      AttributeError: room.root was removed in 0.3.0; use math.sqrt.
    """
    rows = DEPRECATIONS.get(room.rpartition(".")[2], {}) if table is None else table

    def lookup(name: str) -> Any:
        row = rows.get(name)
        if row is None:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        if _release(version) >= _release(row.removed_in):
            raise AttributeError(
                f"{room}.{name} was removed in {row.removed_in}; use {row.replacement}."
            )
        warnings.warn(
            f"{room}.{name} is deprecated since {row.since} ({row.date}) and goes in "
            f"{row.removed_in}; use {row.replacement}.",
            DeprecationWarning,
            stacklevel=2,
        )
        module, _, attribute = row.replacement.rpartition(".")
        return getattr(importlib.import_module(module), attribute)

    return lookup
