"""Fixtures that every test shares; the package is imported with its shapes and types checked."""

import gc
import importlib.metadata
import os
from pathlib import Path

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the time goes into compiling small programs; they need not be fast. The second flag takes
# a third of it away; later versions have no such choice and end at an unknown flag.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0"
    + " --xla_cpu_use_fusion_emitters=false"
    * importlib.metadata.version("jaxlib").startswith("0.10."),
)

import jaxtyping
import pytest

# Installed before the package is imported: annotations of shape and dtype are then checked.
jaxtyping.install_import_hook("crossmodal_jax", "beartype.beartype")


@pytest.fixture(autouse=True, scope="module")
def room_for_programs():
    """Drops compiled programs before a process has as many memory maps as Linux allows, 65,530."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 20_000:
        import jax

        jax.clear_caches()
        gc.collect()


@pytest.fixture
def no_jaxtyping():
    """Turns the run-time shape checks off, so that a bad shape reaches our own error."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def strict():
    """Strict dtype promotion, NaN debugging and leak checks for the length of a test."""
    import jax

    with (
        jax.numpy_dtype_promotion("strict"),
        jax.debug_nans(True),
        jax.checking_leaks(),
    ):
        yield


@pytest.fixture
def x64():
    """Float64 enabled for the length of a test."""
    import jax

    with jax.enable_x64(True):
        yield
