"""Fusion operators on vectors: three modalities, a fifth of the entries absent."""

import functools
from typing import Any

import jax
import numpy as np

from benchmarks.case import FORWARD, FORWARD_BACKWARD, Case, in_float64, with_gradient
from crossmodal_jax import fusion

NUM_MODALITIES = 3
DIM = 256
# An outer product over three modalities grows with the third power of their width.
INPUT_DIMS = {"tensor_fusion": 16, "multiplicative_interaction": 64}
BFLOAT16 = ("gated", "low_rank", "mfb")


def cases(*, quick: bool) -> list[Case]:
    """All operators on vectors, forward and with gradients, some of them in bfloat16 as well."""
    batch = 2048 if quick else 16384
    ops = [name for name, operator in fusion.OPERATORS.items() if operator.kind == "vectors"]
    found = []
    for op, dtype in [*((op, "float32") for op in ops), *((op, "bfloat16") for op in BFLOAT16)]:
        found += [_case(op, dtype, batch, mode) for mode in (FORWARD, FORWARD_BACKWARD)]
    return found


def _case(op: str, dtype: str, batch: int, mode: str) -> Case:
    width = INPUT_DIMS.get(op, DIM)
    backward = mode == FORWARD_BACKWARD
    apply = functools.partial(_apply, op)
    function = with_gradient(apply, 2) if backward else apply
    flops = _flops(op, batch, width)
    return Case(
        suite="fusion",
        op=op,
        spec=f"{dtype} b={batch} d={NUM_MODALITIES}x{width}",
        implementation="xla",
        mode=mode,
        function=function,
        make_inputs=functools.partial(_inputs, op, batch, width, backward),
        # The definition is tested against NumPy in float64; here it is its own reference there.
        reference=in_float64(function),
        dtype=dtype,
        # Each product of the forward pass has two in the backward pass.
        flops=flops * (3 if backward else 1),
        gemms=[(batch, width, DIM)] if flops else [],
        ffts=_ffts(op, batch, width, backward),
        rows=batch,
    )


def _apply(op: str, xs: Any, weights: Any, present: Any) -> Any:
    return fusion.OPERATORS[op].apply(xs, weights, present=present)


def _inputs(op: str, batch: int, width: int, backward: bool) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    xs = tuple(rng.standard_normal((batch, width), np.float32) for _ in range(NUM_MODALITIES))
    weights = fusion.OPERATORS[op].init(jax.random.key(0), (width,) * NUM_MODALITIES, DIM)
    weights = jax.tree.map(np.asarray, weights)
    present = rng.uniform(size=(batch, NUM_MODALITIES)) < 0.8
    if not backward:
        return xs, weights, present
    shape = jax.eval_shape(functools.partial(_apply, op), xs, weights, present).shape
    return rng.standard_normal(shape, np.float32), xs, weights, present


def _ffts(op: str, batch: int, width: int, backward: bool) -> tuple[int, int]:
    """One transform for every input of a sample, and one for each of their gradients."""
    if op != "compact_bilinear":
        return 0, 1
    init = functools.partial(fusion.OPERATORS[op].init, dims=(width,) * NUM_MODALITIES, dim=DIM)
    sketch = jax.eval_shape(init, jax.random.key(0)).kernel.shape[0]
    return batch * NUM_MODALITIES * (2 if backward else 1), sketch


def _flops(op: str, batch: int, width: int) -> float:
    """FLOPs of the forward products: every entry of a kernel multiplies one number of a sample."""
    init = functools.partial(fusion.OPERATORS[op].init, dims=(width,) * NUM_MODALITIES, dim=DIM)
    leaves = jax.tree.leaves(jax.eval_shape(init, jax.random.key(0)))
    # Arrays without an axis of inputs are biases; what they add is not counted.
    kernels = [leaf.size for leaf in leaves if leaf.ndim >= 2 and leaf.shape[0] > NUM_MODALITIES]
    return 2.0 * batch * sum(kernels)
