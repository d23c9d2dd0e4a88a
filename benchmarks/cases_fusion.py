"""Fusion operators: three modalities, a fifth of the entries absent."""

import functools
from typing import Any

import jax
import numpy as np

from benchmarks import references
from benchmarks.case import FORWARD, FORWARD_BACKWARD, Case, with_gradient
from crossmodal_jax import fusion

NUM_MODALITIES = 3
DIM = 256


def cases(*, quick: bool) -> list[Case]:
    """All operators, forward and with gradients, and the gated unit in bfloat16 as well."""
    batch = 2048 if quick else 16384
    found = []
    for op, dtype in [*((op, "float32") for op in fusion.OPERATORS), ("gated", "bfloat16")]:
        found += [_case(op, dtype, batch, mode) for mode in (FORWARD, FORWARD_BACKWARD)]
    return found


def _case(op: str, dtype: str, batch: int, mode: str) -> Case:
    flops, gemms = _cost(op, batch)
    backward = mode == FORWARD_BACKWARD
    apply = functools.partial(_apply, op)
    return Case(
        suite="fusion",
        op=op,
        spec=f"{dtype} b={batch} d={NUM_MODALITIES}x{DIM}",
        implementation="xla",
        mode=mode,
        function=with_gradient(apply, 2) if backward else apply,
        make_inputs=functools.partial(_inputs, op, batch, backward),
        reference=references.FUSION[op] if backward else references.forward(references.FUSION[op]),
        dtype=dtype,
        # Each product of the forward pass has two in the backward pass.
        flops=flops * (3 if backward else 1),
        gemms=gemms,
    )


def _apply(op: str, xs: Any, weights: Any, present: Any) -> Any:
    return fusion.OPERATORS[op].apply(xs, weights, present=present)


def _inputs(op: str, batch: int, backward: bool) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    xs = tuple(rng.standard_normal((batch, DIM), np.float32) for _ in range(NUM_MODALITIES))
    weights = fusion.OPERATORS[op].init(jax.random.key(0), (DIM,) * NUM_MODALITIES, DIM)
    weights = jax.tree.map(np.asarray, weights)
    present = rng.uniform(size=(batch, NUM_MODALITIES)) < 0.8
    if not backward:
        return xs, weights, present
    width = NUM_MODALITIES * (DIM + 1) if op == "concat" else DIM
    return rng.standard_normal((batch, width), np.float32), xs, weights, present


def _cost(op: str, batch: int) -> tuple[float, list[tuple[int, int, int]]]:
    """FLOPs of the forward products, and their shapes; what is added and scaled is not counted."""
    if op not in ("weighted_sum", "gated"):
        return 0.0, []
    gemms = [(batch, DIM, DIM)]
    flops = NUM_MODALITIES * 2.0 * batch * DIM * DIM
    if op == "gated":
        gate = (batch, NUM_MODALITIES * (DIM + 1), NUM_MODALITIES * DIM)
        gemms.append(gate)
        flops += 2.0 * gate[0] * gate[1] * gate[2]
    return flops, gemms
