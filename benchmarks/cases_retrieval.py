"""Rank counts, by every implementation."""

import functools
from typing import Any

import numpy as np

from benchmarks import references
from benchmarks.case import FORWARD, Case
from crossmodal_jax import kernels

IMPLEMENTATIONS = ("xla", "streamed")


def cases(*, quick: bool) -> list[Case]:
    """One direction of retrieval; counts have no gradient."""
    queries, gallery, d = (1000, 4000, 256) if quick else (5000, 25000, 512)
    return [_case(queries, gallery, d, implementation) for implementation in IMPLEMENTATIONS]


def _case(queries: int, gallery: int, d: int, implementation: str) -> Case:
    def make_inputs() -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        y = rng.standard_normal((gallery, d), np.float32)
        x = y[:queries] + 3 * rng.standard_normal((queries, d), np.float32)
        return tuple(z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))

    return Case(
        suite="retrieval",
        op="rank_counts",
        spec=f"float32 q={queries} g={gallery} d={d}",
        implementation=implementation,
        mode=FORWARD,
        function=functools.partial(kernels.rank_counts, implementation=implementation),
        make_inputs=make_inputs,
        reference=references.rank_counts,
        flops=2.0 * queries * gallery * d,
        gemms=[(queries, d, gallery)],
    )
