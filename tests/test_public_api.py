"""Every public name is documented: arguments, shapes, errors, an example, and its page."""

import ast
import dataclasses
import importlib
import inspect
import itertools
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import pytest

ROOT = Path(__file__).parents[1]
ROOMS = sorted(p.parent.name for p in ROOT.glob("crossmodal_jax/*/__init__.py"))
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Examples", "References")
SHAPE = re.compile(r"\bshapes? |\bscalar\b|\[[^\]\n]{0,60}\]")
ENTRY = re.compile(r"^\.\. auto(?:function|class|data|exception):: +(\S+) *$", re.MULTILINE)


def _foreign(module: types.ModuleType) -> set[str]:
    """Names that a room's `__init__` imports from elsewhere for its own use."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {
        alias.asname or alias.name.partition(".")[0]
        for node in found
        if not (isinstance(node, ast.ImportFrom) and node.module.startswith("crossmodal_jax"))
        for alias in node.names
    }


def public_names(room: str) -> dict[str, Any]:
    """Returns what a room offers, names resolved lazily included."""
    module = importlib.import_module(f"crossmodal_jax.{room}")
    names = sorted(n for n in dir(module) if not n.startswith("_") and n not in _foreign(module))
    offered = {name: getattr(module, name) for name in names}
    return {n: o for n, o in offered.items() if not isinstance(o, types.ModuleType)}


def sections(doc: str) -> dict[str, str]:
    """Splits a docstring into its head and its named sections."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):$", inspect.cleandoc(doc), flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(section: str) -> set[str]:
    """Names that a section of the form `name: text` describes."""
    heads = re.findall(r"^  (\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \([^)]*\))?:", section, re.MULTILINE)
    return {name.strip("*") for head in heads for name in head.split(", ")}


def _arrays(annotation: Any) -> Iterator[Any]:
    """Yields the jaxtyping arrays inside an annotation; a random key is none."""
    if annotation == jaxtyping.PRNGKeyArray:
        return
    if isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _arrays(part)


def _has_axes(annotation: Any) -> bool:
    return any(array.dim_str for array in _arrays(annotation))


def _definition(obj: Any) -> ast.AST | None:
    """Finds the source of a function or class by its qualified name."""
    module = sys.modules[obj.__module__]
    node: ast.AST | None = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for part in obj.__qualname__.split("."):
        named = (n for n in ast.iter_child_nodes(node) if getattr(n, "name", None) == part)
        node = next(named, None)
        if node is None:
            return None
    return node


def _raises(node: ast.AST | None) -> bool:
    """Whether the body raises by itself, or through the checks of the house."""
    if node is None:
        return False
    for inner in ast.walk(node):
        if isinstance(inner, ast.Raise) and inner.exc is not None:
            return True
        if isinstance(inner, ast.Call) and re.match(r"(_checks\.)?check_", ast.unparse(inner.func)):
            return True
    return False


def function_faults(function: Any, doc: str) -> Iterator[str]:
    """Yields what the docstring of a function lacks."""
    found = sections(doc)
    first = found[""].strip().split("\n\n")[0]
    if not first.replace("\n", " ").rstrip().endswith((".", ":")):
        yield "the first paragraph is no sentence"
    signature = inspect.signature(function)
    parameters = {n: p for n, p in signature.parameters.items() if n not in {"self", "cls"}}
    missing = set(parameters) - entries(found.get("Args", ""))
    if missing:
        yield f"Args lacks {sorted(missing)}"
    surplus = entries(found.get("Args", "")) - set(parameters)
    if surplus:
        yield f"Args describes {sorted(surplus)}, which are no parameters"
    takes = any(_has_axes(p.annotation) for p in parameters.values())
    if takes and not SHAPE.search(found.get("Args", "")):
        yield "Args names no shape"
    if signature.return_annotation not in {inspect.Signature.empty, None, type(None)}:
        if not {"Returns", "Yields"} & set(found):
            yield "no Returns"
        elif _has_axes(signature.return_annotation) and not SHAPE.search(found["Returns"]):
            yield "Returns names no shape"
    if _raises(_definition(inspect.unwrap(function))) and "Raises" not in found:
        yield "raises, but has no Raises"
    if ">>>" not in found.get("Examples", ""):
        yield "no example"


def _fields(cls: type) -> list[str] | None:
    """Fields of a NamedTuple or dataclass; None for other classes."""
    if dataclasses.is_dataclass(cls):
        return [f.name for f in dataclasses.fields(cls)]
    return list(getattr(cls, "_fields", ())) or None


def strings_after_fields(cls: type) -> set[str]:
    """Fields that a string of their own follows, which a command line shows as their help."""
    node = _definition(cls)
    body = node.body if isinstance(node, ast.ClassDef) else []
    return {
        field.target.id
        for field, after in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }


def class_faults(cls: type, doc: str) -> Iterator[str]:
    """Yields what the docstring of a class and of its public methods lack."""
    found = sections(doc)
    fields = _fields(cls)
    if fields is not None:
        described = entries(found.get("Attributes", "")) | entries(found.get("Args", ""))
        # Fields that are functions read better in prose, as `name(arguments)`.
        described |= set(re.findall(r"`(\w+)[`(]", found[""])) | strings_after_fields(cls)
        if set(fields) - described:
            yield f"Attributes lacks {sorted(set(fields) - described)}"
    elif not issubclass(cls, Exception):
        # A module's own call takes anything: its arguments are those of `__init__`.
        yield from function_faults(cls.__init__, doc)
    for name, member in vars(cls).items():
        public = inspect.isfunction(member) and (not name.startswith("_") or name == "__call__")
        # A member without a definition in the source was generated: `_replace`, `__eq__`.
        if public and _definition(member) is not None and not inspect.getdoc(member):
            yield f"method {name} has no docstring"


def constant_faults(room: str, name: str) -> Iterator[str]:
    """Yields a fault if no string follows the assignment of a public constant."""
    for path in (ROOT / "crossmodal_jax" / room).rglob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in zip(body, [*body[1:], None], strict=True):
            targets = [getattr(node, "target", None), *getattr(node, "targets", [])]
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                string = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                if not string:
                    yield "no docstring after the assignment"
                return
    yield "its assignment was not found"


def faults(room: str, name: str, obj: Any) -> list[str]:
    """Returns everything that the documentation of one public name lacks."""
    if not (inspect.isclass(obj) or inspect.isroutine(obj)):
        return list(constant_faults(room, name))
    doc = inspect.getdoc(obj)
    if not doc:
        return ["no docstring"]
    return list(class_faults(obj, doc) if inspect.isclass(obj) else function_faults(obj, doc))


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_are_documented(room):
    found = {name: faults(room, name, obj) for name, obj in public_names(room).items()}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_room_says_what_it_is_for_and_offers_something(room):
    module = importlib.import_module(f"crossmodal_jax.{room}")
    assert module.__doc__.strip().endswith(".")
    assert public_names(room)


@pytest.mark.parametrize("room", ROOMS)
def test_page_of_the_room_has_exactly_the_public_names(room):
    page = (ROOT / "docs" / "api" / f"{room}.md").read_text(encoding="utf-8")
    prefix = f"crossmodal_jax.{room}."
    listed = [entry.removeprefix(prefix) for entry in ENTRY.findall(page)]
    assert sorted(listed) == sorted(public_names(room))


def complete(x: jaxtyping.Float[jaxtyping.Array, "n d"], *, scale: float = 1.0) -> Any:
    """Scales.

    Args:
      x: Rows, shape [n, d].
      scale: The factor.

    Returns:
      The product, shape [n, d].

    Raises:
      ValueError: If `scale` is 0.

    Examples:
      >>> complete(1.0)
      1.0
    """
    if scale == 0.0:
        raise ValueError("complete: `scale` must not be 0; leave it out.")
    return x * scale


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("", "", None),
        ("Scales.", "Scales", "no sentence"),
        ("  scale: The factor.\n", "", "Args lacks ['scale']"),
        ("scale: The", "factor: The", "Args describes ['factor']"),
        ("x: Rows, shape [n, d]", "x: Rows", "Args names no shape"),
        ("Returns:\n  The product, shape [n, d].\n", "", "no Returns"),
        ("Raises:\n  ValueError: If `scale` is 0.\n", "", "has no Raises"),
        (">>> complete(1.0)", "", "no example"),
    ],
)
def test_checker_finds_what_a_docstring_lacks(old, new, fault):
    found = list(function_faults(complete, inspect.getdoc(complete).replace(old, new)))
    assert any(fault in f for f in found) if fault else found == []


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two numbers.

    Attributes:
      first: One.
    """

    first: int
    second: int

    def sum(self) -> int:
        return self.first + self.second


def test_checker_finds_what_a_class_lacks():
    found = list(class_faults(Pair, inspect.getdoc(Pair)))
    assert found == ["Attributes lacks ['second']", "method sum has no docstring"]
