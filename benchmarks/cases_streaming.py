"""Fits of rows that come in chunks and are never held: moments of each chunk, then the solution.

The rows are made on the device, chunk by chunk, inside the program that is timed, as nothing else
could deliver them at this rate. They are hashed counters, which costs a fraction of drawing
normal numbers; that fraction, and the product that plants y in x, are part of the time and no
part of the floor. So a rate of these cases is that of generating and fitting together.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import references
from benchmarks.case import FORWARD, Case, as_float64
from crossmodal_jax import numerics, transforms

L2 = 1e-2
SHOWN = 64
RANK = 16
MEAN = 3.0
SIZE = 4000  # rows of a chunk
CHECKED = 16  # chunks over which the fit is compared with one that holds all their rows


def cases(*, quick: bool) -> list[Case]:
    """Ridge and CCA of two modalities of 256 columns: 2,000,000 rows, 64,000 when quick."""
    num_chunks = CHECKED if quick else 500
    ridge, cca = transforms.ridge(l2=L2), transforms.cca(dim=RANK, l2=L2)
    return [
        _case("ridge.streamed", ridge, references.ridge_fit(L2), num_chunks),
        _case("cca.streamed", cca, references.cca_fit(L2, RANK), num_chunks),
    ]


def _case(
    op: str, transform: transforms.Transform, reference: Callable[..., Any], num_chunks: int
) -> Case:
    d = 256
    n = SIZE * num_chunks
    return Case(
        suite="transforms",
        op=op,
        spec=f"float32 n={n} dx={d} dy={d} chunk={SIZE}",
        implementation="xla",
        mode=FORWARD,
        function=functools.partial(fit, transform, size=SIZE),
        make_inputs=functools.partial(inputs, d, d, num_chunks),
        make_checked=functools.partial(inputs, d, d, min(num_chunks, CHECKED)),
        reference=functools.partial(fit_in_memory, reference, size=SIZE),
        # The three blocks of the joint covariance; one solution of their size is not counted.
        flops=3 * 2.0 * n * d * d,
        gemms=[(d, SIZE, d)],
        rows=n,
    )


def fit(
    transform: transforms.Transform, seed: Any, num_chunks: Any, left: Any, right: Any, *, size: int
) -> tuple[Any, Any]:
    """Predictions for the first rows, and their residual covariance, by a streamed fit."""
    make = functools.partial(rows, seed, left=left, right=right, size=size)

    def step(index: Any, state: numerics.JointMoments) -> numerics.JointMoments:
        return numerics.update_moments(state, make(index))

    start = numerics.init_moments((left.shape[0], right.shape[1]))
    params = transform.solve(jax.lax.fori_loop(0, num_chunks, step, start))
    x, _ = make(jnp.zeros_like(num_chunks))
    # The residual needs the covariance of y, so that no block of the moments is left out.
    return transform.apply(params, x[:SHOWN]), params.residual


def fit_in_memory(
    predict: Callable[..., Any], seed: Any, num_chunks: Any, left: Any, right: Any, *, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same in NumPy float64, from all rows at once."""
    x, y = map(as_float64, all_rows(seed, num_chunks, left, right, size=size))
    predicted = predict(x, y, x)
    error = y - predicted
    return predicted[:SHOWN], error.T @ error / len(x)


def all_rows(seed: Any, num_chunks: Any, left: Any, right: Any, *, size: int) -> Any:
    """The rows of all chunks together, float32."""
    left, right = jnp.asarray(left, jnp.float32), jnp.asarray(right, jnp.float32)
    make = jax.jit(functools.partial(rows, left=left, right=right, size=size))
    chunks = [make(seed, index) for index in range(int(num_chunks))]
    return tuple(np.concatenate(side) for side in zip(*chunks, strict=True))


def rows(seed: Any, index: Any, *, left: Any, right: Any, size: int) -> tuple[Any, Any]:
    """Chunk `index`: x of decaying variance about a mean, and y = x left right plus noise."""
    dx, dy = left.shape[0], right.shape[1]
    noise = _noise(seed, index, size, dx + dy)
    x = noise[:, :dx] * _decay(dx)
    latent = jnp.matmul(x, left, precision="highest")
    y = jnp.matmul(latent, right, precision="highest") + noise[:, dx:] * _decay(dy)
    return x + MEAN, y - MEAN


def inputs(dx: int, dy: int, num_chunks: int) -> tuple[Any, ...]:
    """Seed, number of chunks, and both factors of the planted map."""
    rng = np.random.default_rng(0)
    left = rng.standard_normal((dx, RANK), np.float32) / np.float32(dx) ** 0.5
    right = rng.standard_normal((RANK, dy), np.float32) / np.float32(RANK) ** 0.5
    return np.uint32(7), np.int32(num_chunks), left, right


def _noise(seed: Any, index: Any, size: int, width: int) -> Any:
    """Uniform numbers of mean 0 and variance 1: the finaliser of MurmurHash3 on counters."""
    row = jax.lax.broadcasted_iota(jnp.uint32, (size, width), 0)
    column = jax.lax.broadcasted_iota(jnp.uint32, (size, width), 1)
    row += jnp.asarray(index).astype(jnp.uint32) * jnp.uint32(size)
    bits = (row * jnp.uint32(width) + column) ^ (seed * jnp.uint32(0x9E3779B9))
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> 13)) * jnp.uint32(0xC2B2AE35)
    bits ^= bits >> 16
    signed = jax.lax.bitcast_convert_type(bits, jnp.int32).astype(jnp.float32)
    return signed * jnp.float32(3**0.5 / 2**31)


def _decay(width: int) -> Any:
    return 1 / (1 + jnp.arange(width, dtype=jnp.float32) / 16)
