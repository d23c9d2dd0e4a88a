"""What importing the package costs and changes: next to nothing, and nothing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = sorted(
    p.parent.name for p in Path(__file__).parents[1].glob("crossmodal_jax/*/__init__.py")
)
# Floors 0 to 2, and what trains callables: none of them may drag in flax.
WITHOUT_FLAX = [
    "features",
    "fusion",
    "kernels",
    "losses",
    "metrics",
    "numerics",
    "parallel",
    "preprocessing",
    "transforms",
]
MAY_NEED_EXTRAS = {"cli", "reporting"}
# Every distribution of an extra or of the tests, by the name it is imported under.
NOT_CORE = [
    "PIL",
    "beartype",
    "equinox",
    "faiss",
    "grain",
    "jinja2",
    "matplotlib",
    "optuna",
    "pandas",
    "pyarrow",
    "pytest",
    "safetensors",
    "sklearn",
    "soundfile",
    "tensorboardX",
    "tokenizers",
    "torch",
    "tyro",
]
BLOCK = f"""
import importlib, importlib.abc, json, sys

class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_CORE!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)

sys.meta_path.insert(0, Block())
"""


def _python(source: str, *flags: str) -> subprocess.CompletedProcess:
    """Runs `source` in a fresh interpreter, without the options that pytest's own run set."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, *flags, "-c", source],
        check=False,
        capture_output=True,
        text=True,
        env={**env, "JAX_PLATFORMS": "cpu"},
        timeout=120,
    )


def test_core_rooms_need_only_the_core_dependencies():
    rooms = [room for room in ROOMS if room not in MAY_NEED_EXTRAS]
    done = _python(
        BLOCK
        + f"for room in {rooms!r}:\n"
        + "    module = importlib.import_module('crossmodal_jax.' + room)\n"
        + "    [getattr(module, name) for name in dir(module)]\n"
    )
    assert done.returncode == 0, done.stderr


def test_operators_load_none_of_the_heavy_packages():
    done = _python(
        "import importlib, sys\n"
        f"for room in {WITHOUT_FLAX!r}: importlib.import_module('crossmodal_jax.' + room)\n"
        "print(sorted({'flax', 'optax', 'orbax'} & set(sys.modules)))"
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr


def test_configuration_and_command_line_load_without_jax():
    done = _python(
        "import sys\nfrom crossmodal_jax.pipeline import RunConfig\nsys.exit('jax' in sys.modules)"
    )
    assert done.returncode == 0, done.stderr or "jax was imported"


def test_import_leaves_jax_as_it_was():
    done = _python(
        "import importlib, json, os, warnings, jax\n"
        "from jax._src import xla_bridge\n"
        "before, environment = dict(jax.config.values), dict(os.environ)\n"
        f"for room in {ROOMS!r}:\n"
        "    module = importlib.import_module('crossmodal_jax.' + room)\n"
        "    [getattr(module, name) for name in dir(module)]\n"
        "after = jax.config.values\n"
        "changed = {k: str(after[k]) for k in before if after[k] != before[k]}\n"
        "print(json.dumps({'changed': changed,\n"
        "    'environment': sorted(set(dict(os.environ).items()) ^ set(environment.items())),\n"
        "    'backends': xla_bridge.backends_are_initialized(),\n"
        "    'arrays': xla_bridge.backends_are_initialized() and len(jax.live_arrays())}))\n"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "changed": {},
        "environment": [],
        "backends": False,
        "arrays": False,
    }


def test_import_takes_at_most_60_ms_beyond_jax():
    # The smallest of a few runs: a busy machine only ever adds time.
    seconds = []
    for _ in range(5):
        done = _python("import jax, crossmodal_jax", "-X", "importtime")
        assert done.returncode == 0, done.stderr
        row = re.search(r"\|\s+(\d+) \| crossmodal_jax$", done.stderr, re.MULTILINE)
        seconds.append(int(row.group(1)) * 1e-6)
        if seconds[-1] <= 0.060:
            break
    assert min(seconds) <= 0.060


def test_unknown_attribute_is_an_attribute_error_and_dir_lists_every_room():
    import crossmodal_jax

    assert set(ROOMS) <= set(dir(crossmodal_jax))
    with pytest.raises(AttributeError, match="no attribute 'los'"):
        _ = crossmodal_jax.los
