"""Types that annotations of several rooms share."""

from typing import Any, TypeAlias

import jax
import numpy as np

ArrayLike: TypeAlias = jax.Array | np.ndarray
"""What public functions take; what they return is always a `jax.Array`."""

PyTree: TypeAlias = Any
"""Nested containers with arrays as leaves."""
