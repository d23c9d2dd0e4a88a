"""All transforms side by side, made of their docstrings while the site is built."""

import inspect
from collections.abc import Callable

import jax
from _operators import markdown

from crossmodal_jax import learned, transforms
from crossmodal_jax.transforms import Transform

_REQUIRED = {"dim": 2, "key": jax.random.key(0)}


def page(_app, docname, source):
    """Puts the transforms where the page has its marks; a handler of `source-read`."""
    if docname == "concepts/transforms":
        for room in (transforms, learned):
            mark = f"<!-- {room.__name__.rsplit('.', maxsplit=1)[-1]} -->"
            source[0] = source[0].replace(mark, _table(room))


def _table(room) -> str:
    rows = [_row(room.__name__, name, make) for name, make in room.FACTORIES.items()]
    return "\n".join(["| transform | | inverse | moments |", "|---|---|:-:|:-:|", *rows])


def _row(room: str, name: str, make: Callable[..., Transform]) -> str:
    parameters = inspect.signature(make).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty]
    transform = make(**{name: _REQUIRED[name] for name in needed})
    first = markdown(inspect.getdoc(make).partition("\n\n")[0])
    marks = ["·" if part is None else "✓" for part in (transform.inverse, transform.solve)]
    return f"| {{py:func}}`{name} <{room}.{name}>` | {first} | {marks[0]} | {marks[1]} |"
