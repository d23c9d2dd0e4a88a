"""Exact, masked, fast cross-modal learning in JAX.

Three formulas: fusion F(X) = Σ wᵢ fᵢ(X), transform Y = T(X), and both learned together,
Y = T(F(X)). Every function lives in one of the subpackages listed by `dir(crossmodal_jax)`.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_SUBPACKAGES = (
    "cli",
    "data",
    "evaluation",
    "features",
    "fusion",
    "kernels",
    "learned",
    "losses",
    "metrics",
    "nn",
    "numerics",
    "parallel",
    "pipeline",
    "preprocessing",
    "reporting",
    "training",
    "transforms",
)


def __getattr__(name: str) -> Any:
    # Subpackages load on first use: flax, optax and orbax take seconds to import.
    if name in _SUBPACKAGES:
        return importlib.import_module(f"crossmodal_jax.{name}")
    raise AttributeError(f"module 'crossmodal_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_SUBPACKAGES, "__version__"])
