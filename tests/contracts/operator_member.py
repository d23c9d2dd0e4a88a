"""What the contract suite must know of an operator besides its functions."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def normal_inputs(rng, n, dims):
    """Vectors of independent standard normal entries."""
    return [rng.normal(size=(n, d)) for d in dims]


# Narrow and wide inputs and results, few and many modalities.
WIDTHS = (((8, 8), 8), ((8, 2048), 64), ((512, 512), 8), ((8,) * 6, 512), ((2048,) * 6, 8))


@dataclasses.dataclass(frozen=True)
class OperatorMember:
    """What the suite must know of an operator besides its functions.

    Attributes:
      oracle: NumPy definition `(xs, weights, present) -> z` of one sample.
      reorder: `(weights, order) -> weights` that follows a new order of the modalities, for an
        operator that then gives the same result; None if their order matters.
      dims: Widths of the modalities.
      dim: Width of the result that is asked for.
      num_weights: Closed formula `(dims, dim) -> count` of the weights.
      widths: Pairs `(dims, dim)` at which the initial variance is checked; none for an operator
        whose scale is that of its meaning, as of probabilities.
      inputs: `(rng, n, dims)` to the modalities of n samples.
      roundings: How many times a result is rounded on its way, which widens the tolerance.
      step: Step of the finite differences; short where the result bends sharply, as roots near 0.
    """

    oracle: Callable[..., np.ndarray]
    reorder: Callable[[Any, Sequence[int]], Any] | None = None
    dims: tuple[int, ...] = (5, 4, 3)
    dim: int = 4
    num_weights: Callable[[Sequence[int], int], int] = lambda dims, dim: 0
    widths: Sequence[tuple[tuple[int, ...], int]] = ()
    inputs: Callable[..., list[np.ndarray]] = normal_inputs
    roundings: int = 1
    step: float = 1e-6
