"""What the contract has to know of a loss or metric."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class RowMember:
    """A loss or metric over rows.

    Attributes:
      function: `(*arrays, where=...)` to one value per row, or to a scalar.
      arguments: `(rng, n)` to the arrays in NumPy: floats are cast to each dtype, integers kept.
      oracle: NumPy definition on the kept rows.
      differentiable: Whether gradients are part of the contract.
      detached: Whether the gradient takes parts of the value as constants, by definition, so that
        finite differences are not it.
    """

    function: Callable[..., Any]
    arguments: Callable[[np.random.Generator, int], tuple[np.ndarray, ...]]
    oracle: Callable[..., Any]
    differentiable: bool = False
    detached: bool = False


def unit_pairs(rng, n):
    """Rows of two sides, of length 1."""
    x, y = rng.normal(size=(2, n, 4))
    return tuple(z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))


def scores_and_labels(rng, n):
    """Scores of five classes, and the right ones."""
    return rng.normal(size=(n, 5)), rng.integers(0, 5, size=n, dtype=np.int32)
