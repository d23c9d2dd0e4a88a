"""The table of rooms, enforced on the source: who may import whom, and what no room may do."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "crossmodal_jax"
EVERYWHERE = {"jax", "numpy", "jaxtyping"}
SHARED = {"_typing", "_checks", "_deprecations"}
# What the extras of pyproject.toml install; each is imported inside the function that needs it.
EXTRAS = frozenset(
    {
        "PIL",
        "faiss",
        "grain",
        "jinja2",
        "matplotlib",
        "optuna",
        "pyarrow",
        "safetensors",
        "soundfile",
        "tensorboardX",
        "tokenizers",
    }
)
CLI = frozenset({"tyro", "rich", "matplotlib", "jinja2"})


class Room(NamedTuple):
    """What one subpackage may import besides `EVERYWHERE`, `SHARED` and the standard library."""

    floor: int
    rooms: set[str]
    packages: frozenset[str] = frozenset()
    extras: frozenset[str] = frozenset()
    """Optional packages, allowed only inside functions."""


BASE = {"numerics", "kernels"}
OPERATORS = {"preprocessing", "features", "fusion", "transforms", "losses", "metrics"}
MIDDLE = {"parallel", "data"}
# The top floors are a flight of steps: learned transforms, which join modules of nn to the engine
# of training; the report, the run that writes it, the command.
ROOMS = {
    "numerics": Room(0, set()),
    "kernels": Room(1, {"numerics"}),
    "preprocessing": Room(2, BASE, extras=EXTRAS),
    "features": Room(2, BASE, extras=EXTRAS),
    "fusion": Room(2, BASE, extras=EXTRAS),
    "transforms": Room(2, BASE, extras=EXTRAS),
    "losses": Room(2, BASE),
    "metrics": Room(2, BASE),
    "nn": Room(3, BASE | {"features", "fusion", "transforms"}, frozenset({"flax"})),
    "parallel": Room(3, BASE | {"losses", "metrics"}),
    "data": Room(3, {"numerics", "preprocessing", "features"}, extras=EXTRAS),
    "training": Room(4, {"numerics", "parallel", "metrics"}, frozenset({"optax", "orbax"})),
    "evaluation": Room(4, BASE | OPERATORS | MIDDLE),
    "learned": Room(
        5,
        BASE | {"fusion", "transforms", "losses", "nn", "training"},
        frozenset({"flax", "optax"}),
    ),
    "reporting": Room(5, BASE | OPERATORS | MIDDLE | {"nn", "training", "evaluation"}, CLI),
    # It joins modules of nn to the engine of training, which know nothing of each other.
    "pipeline": Room(
        6,
        BASE | OPERATORS | MIDDLE | {"nn", "training", "evaluation", "learned", "reporting"},
        CLI | {"flax", "optax"},
    ),
    "cli": Room(
        7,
        BASE
        | OPERATORS
        | MIDDLE
        | {"nn", "training", "evaluation", "learned", "reporting", "pipeline"},
        CLI,
    ),
}
TRAINING_FLOOR = ROOMS["training"].floor


class Import(NamedTuple):
    """One imported module, and whether it is loaded only when a function runs."""

    module: str
    lazy: bool
    line: int


def _statically_named(call: ast.Call) -> str | None:
    """Returns the module that `require("m", ...)` or `import_module("m")` loads, if it is plain."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    if name in {"require", "import_module", "__import__"} and isinstance(first, ast.Constant):
        return str(first.value)
    return None


def imports(node: ast.AST, *, lazy: bool = False) -> Iterator[Import]:
    """Yields every module that the source under `node` names, one row for each name."""
    for child in ast.iter_child_nodes(node):
        inner = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, lazy, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = "." * child.level + (child.module or "")
            yield from (Import(f"{module}.{a.name}", lazy, child.lineno) for a in child.names)
        elif isinstance(child, ast.Call) and (named := _statically_named(child)):
            yield Import(named, lazy, child.lineno)
        elif isinstance(child, ast.Attribute) and ast.unparse(child).startswith("crossmodal_jax."):
            yield Import(ast.unparse(child), lazy, child.lineno)
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            # Never executed: counts as a dependency on a room, not as loading a package.
            inner = True
        yield from imports(child, lazy=inner)


def _is_backend(path: str) -> bool:
    return path.startswith("kernels/") and ("/_pallas" in path or "/_mosaic" in path)


def _import_fault(path: str, found: Import) -> str | None:
    """Says what is wrong with one import of the file `path` (relative to the package)."""
    room = ROOMS.get(path.partition("/")[0])
    top, _, rest = found.module.partition(".")
    if found.module.startswith("."):
        return "relative import; write crossmodal_jax.<room>"
    if top == "crossmodal_jax":
        other = rest.partition(".")[0]
        if room is None:
            return f"a shared file imports {other}" if other in ROOMS else None
        if other in ROOMS and other != path.partition("/")[0] and other not in room.rooms:
            return f"{path.partition('/')[0]} may not import {other}"
        if _is_backend(rest.replace(".", "/")) and not found.lazy and not _is_backend(path):
            return "a backend file is imported inside the function that runs it"
        return None
    if found.module.startswith("jax.experimental.pallas"):
        if not path.startswith("kernels/"):
            return "pallas belongs to kernels"
        lawful = found.lazy or _is_backend(path)
        return None if lawful else "pallas is imported by a backend file or inside a function"
    if top in EVERYWHERE or top in sys.stdlib_module_names or top == "__future__":
        return None
    if room is not None and top in room.packages:
        return None
    if room is not None and top in room.extras:
        return None if found.lazy else f"{top} is optional: import it inside the function"
    return f"{top} is not a package of this room"


def _names(tree: ast.AST) -> dict[str, str]:
    """Maps local names to what `from a import b as c` bound them to, as `a.b`."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _habit_faults(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields what no room may write: assert, bare except, jit below training, configuration."""
    room = ROOMS.get(path.partition("/")[0])
    below_training = room is None or room.floor < TRAINING_FLOOR
    bound = _names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert; raise ValueError in the wording of _checks"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "bare except"
        elif isinstance(node, ast.Attribute | ast.Name):
            head, dot, tail = ast.unparse(node).partition(".")
            name = bound.get(head, head) + dot + tail
            if below_training and name in {"jax.jit", "jax.pmap", "nnx.jit", "flax.nnx.jit"}:
                yield node.lineno, f"{name} below training: the user owns jit"
            written = isinstance(node.ctx, ast.Store) and name.startswith("jax.config.")
            if written or name == "jax.config.update":
                yield node.lineno, "the library never touches the global configuration of JAX"


def faults(path: str, source: str) -> list[str]:
    """Returns every breach in one file, as `path:line: what`."""
    tree = ast.parse(source)
    found = [(i.line, fault) for i in imports(tree) if (fault := _import_fault(path, i))]
    found += _habit_faults(path, tree)
    return [f"{path}:{line}: {what}" for line, what in sorted(set(found))]


def _files() -> list[str]:
    return sorted(str(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", _files())
def test_file_keeps_to_its_room(path):
    assert faults(path, (PACKAGE / path).read_text(encoding="utf-8")) == []


def test_every_folder_is_a_room_of_the_table():
    folders = {p.parent.name for p in PACKAGE.glob("*/__init__.py")}
    assert folders == set(ROOMS)


def test_top_level_files_are_the_shared_ones():
    assert {p.stem for p in PACKAGE.glob("*.py")} == SHARED | {"__init__"}


@pytest.mark.parametrize("name", ROOMS)
def test_table_never_looks_up_or_sideways(name):
    assert all(ROOMS[other].floor < ROOMS[name].floor for other in ROOMS[name].rooms)


def test_only_nn_and_what_builds_models_have_flax():
    with_flax = {name for name, room in ROOMS.items() if "flax" in room.packages | room.extras}
    assert with_flax == {"nn", "learned", "pipeline"}


BREACHES = [
    ("losses/_x.py", "from crossmodal_jax.metrics import recall_at_k", "may not import metrics"),
    ("losses/_x.py", "from crossmodal_jax import metrics", "may not import metrics"),
    ("losses/_x.py", "import crossmodal_jax.metrics as m", "may not import metrics"),
    ("losses/_x.py", "import crossmodal_jax\ncrossmodal_jax.metrics.f()", "may not import metrics"),
    ("losses/_x.py", "def f():\n  from crossmodal_jax.nn import Linear", "may not import nn"),
    ("fusion/_x.py", "from ..nn import Linear", "relative import"),
    ("evaluation/_x.py", "from crossmodal_jax.nn import TwoTower", "may not import nn"),
    ("reporting/_x.py", "from crossmodal_jax.pipeline import run", "may not import pipeline"),
    ("_checks.py", "from crossmodal_jax.numerics import safe_norm", "shared file imports numerics"),
    ("training/_x.py", "from flax import nnx", "flax is not a package"),
    ("evaluation/_x.py", "def f():\n  import flax", "flax is not a package"),
    ("reporting/_x.py", "import flax", "flax is not a package"),
    ("fusion/_x.py", "import optax", "optax is not a package"),
    ("data/_x.py", "import matplotlib.font_manager", "inside the function"),
    ("metrics/_x.py", "def f():\n  import matplotlib", "matplotlib is not a package"),
    ("metrics/_x.py", "_checks.require('PIL.Image', 'image', 'f')", "PIL is not a package"),
    ("numerics/_x.py", "import scipy.stats", "scipy is not a package"),
    ("losses/_x.py", "from jax.experimental import pallas as pl", "belongs to kernels"),
    ("kernels/a/_xla.py", "from jax.experimental import pallas as pl", "backend file"),
    (
        "kernels/a/_api.py",
        "from crossmodal_jax.kernels.a._mosaic import f",
        "inside the function that runs it",
    ),
    ("metrics/_x.py", "assert x", "assert"),
    ("cli/_x.py", "try:\n  f()\nexcept:\n  pass", "bare except"),
    ("fusion/_x.py", "import jax\n@jax.jit\ndef f(): ...", "user owns jit"),
    ("fusion/_x.py", "import jax\nf = jax.jit(g)", "user owns jit"),
    ("nn/_x.py", "from flax import nnx\nf = nnx.jit(g)", "user owns jit"),
    ("data/_x.py", "from jax import jit\nf = jit(g)", "user owns jit"),
    ("cli/_x.py", "import jax\njax.config.update('jax_enable_x64', True)", "global configuration"),
    ("cli/_x.py", "import jax\njax.config.jax_enable_x64 = True", "global configuration"),
    ("cli/_x.py", "from jax import config\nconfig.update('a', 1)", "global configuration"),
]


@pytest.mark.parametrize(("path", "source", "what"), BREACHES)
def test_checker_finds_a_breach(path, source, what):
    found = faults(path, source)
    assert len(found) == 1, found
    assert what in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("losses/_x.py", "import jax.numpy as jnp\nfrom crossmodal_jax.numerics import safe_norm"),
        ("data/_x.py", "def f():\n  import matplotlib.font_manager"),
        ("data/_x.py", "def f():\n  require('matplotlib', 'cli', 'glyphs')"),
        ("kernels/a/_mosaic.py", "from jax.experimental import pallas as pl"),
        ("kernels/a/_api.py", "def f():\n  from crossmodal_jax.kernels.a._mosaic import g"),
        ("data/_x.py", "import jax\nif jax.config.jax_default_device is None: ..."),
        ("training/_x.py", "import jax, optax\nstep = jax.jit(f)"),
        ("cli/_x.py", "from crossmodal_jax.pipeline import run\nimport tyro"),
        ("fusion/__init__.py", "from crossmodal_jax.fusion._gated import gated as gated"),
    ],
)
def test_checker_accepts_the_lawful(path, source):
    assert faults(path, source) == []
