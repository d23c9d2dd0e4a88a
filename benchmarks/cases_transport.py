"""Sinkhorn's iteration, by every implementation and by OTT-JAX where it is installed."""

import functools
import importlib.util
import unittest.mock
import warnings
from collections.abc import Callable
from typing import Any

import jax.interpreters.batching
import jax.numpy as jnp
import numpy as np

from benchmarks import references
from benchmarks.case import FORWARD, Case
from crossmodal_jax import kernels

EPSILON = 0.1
ITERATIONS = 10
BLOCK = 256  # rows that the streamed implementation and the peer hold at a time


def cases(*, quick: bool) -> list[Case]:
    """Ten iterations between two clouds, with the cost matrix and without it."""
    n, d = (1536, 64) if quick else (2048, 64)  # so many that they are streamed
    found = [
        _case(n, d, "xla", functools.partial(_ours, implementation="xla"), holds_cost=True),
        _case(n, d, "streamed", functools.partial(_ours, implementation="streamed")),
    ]
    if importlib.util.find_spec("ott") is not None:
        found += [
            # The compiler moves the product out of their loop, and keeps the matrix.
            _case(n, d, "ott", functools.partial(_ott, batch_size=None), holds_cost=True),
            _case(n, d, "ott-online", functools.partial(_ott, batch_size=BLOCK)),
        ]
    return found


def _case(
    n: int, d: int, implementation: str, function: Callable[..., Any], *, holds_cost: bool = False
) -> Case:
    # Without a cost matrix to read from, every iteration has to multiply again.
    products = 1 if holds_cost else ITERATIONS
    return Case(
        suite="transport",
        op="sinkhorn",
        spec=f"float32 n=m={n} d={d} iterations={ITERATIONS}",
        implementation=implementation,
        mode=FORWARD,
        function=function,
        make_inputs=functools.partial(_clouds, n, d),
        reference=functools.partial(references.sinkhorn, epsilon=EPSILON, iterations=ITERATIONS),
        flops=2.0 * n * n * d * products,
        gemms=[(n, d, n)],
    )


def _ours(x: Any, y: Any, *, implementation: str) -> tuple[Any, Any]:
    found = kernels.sinkhorn(
        x,
        y,
        epsilon=EPSILON,
        max_iterations=ITERATIONS,
        tolerance=-1.0,
        implementation=implementation,
    )
    return found.f, found.g


def _ott(x: Any, y: Any, *, batch_size: int | None) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from ott.geometry import pointcloud
        from ott.solvers import linear

    # Theirs begin with the second cloud.
    geometry = pointcloud.PointCloud(y, x, epsilon=EPSILON, batch_size=batch_size)
    # A name that OTT-JAX 0.6 asks for and newer releases of JAX do not have: no array is one.
    with unittest.mock.patch.object(
        jax.interpreters.batching, "is_vmappable", return_value=False, create=True
    ):
        found = linear.solve(
            geometry,
            min_iterations=ITERATIONS,
            max_iterations=ITERATIONS,
            inner_iterations=ITERATIONS,
        )
    # The weights are equal, so that potentials differ by a constant, of which each gets its share.
    shift = (jnp.mean(found.f) - jnp.mean(found.g)) / 2
    constant = EPSILON * np.log(len(x))
    return found.g + shift + constant, found.f - shift + constant


def _clouds(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Two samples of different Gaussians, each with mean 0 as the first iterate assumes."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, n, d), np.float32) / np.float32(d) ** 0.5
    y = y * (0.5 + np.arange(d, dtype=np.float32) / d)
    return x - x.mean(0), y - y.mean(0)
