"""Fixtures that every test shares; the package is imported with its shapes and types checked."""

import os

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the time goes into compiling small programs; they need not be fast.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jaxtyping
import pytest

# Installed before the package is imported: annotations of shape and dtype are then checked.
jaxtyping.install_import_hook("crossmodal_jax", "beartype.beartype")


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
