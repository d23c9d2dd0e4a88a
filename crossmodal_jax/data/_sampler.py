"""A stateless sampler: shuffled epochs whose order is a pure function of key and step."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

from crossmodal_jax._typing import ArrayLike

# Fewer rounds favour some of the permutations of five and six rows measurably.
_ROUNDS = 16


def sample_rows(
    key: ArrayLike, step: Int[ArrayLike, ""] | int | np.integer, num_rows: int, batch_size: int
) -> Int[Array, "batch_size"]:
    """Rows of the batch at `step`: epochs of fresh shuffles, every row once in each.

    Epochs π₀, π₁, … are laid end to end, and batch t takes the positions t·b, …, t·b + b − 1 of
    that stream: nothing is dropped when b does not divide n, and a batch may span epochs. No state
    is kept and no permutation is stored: πₑ is a keyed bijection that is evaluated at the batch's
    positions only, in O(b) time and memory whatever n. It mixes (l, r) ∈ ℤₐ×ℤ_c with a·c ≥ n by
    rounds l ← l + F(r) mod a and r ← r + F(l) mod c, and walks on while it is outside of [0, n).
    The shuffle is for training, not for secrets.

    Args:
      key: Random key of the run; the same key and step give the same rows.
      step: Number of the batch, at least 0, less than 2³¹; may be traced.
      num_rows: Number n of rows, less than 2³⁰.
      batch_size: Number b of rows of a batch, less than 2³⁰.

    Returns:
      Row numbers in [0, n), shape [batch_size], int32.

    Raises:
      ValueError: If `num_rows` or `batch_size` is not in [1, 2³⁰), or a concrete step is negative.

    Examples:
      >>> import jax
      >>> key = jax.random.key(0)
      >>> epoch = [row for t in range(3) for row in sample_rows(key, t, 6, 2).tolist()]
      >>> sorted(epoch)
      [0, 1, 2, 3, 4, 5]

    References:
      Black and Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002: the generalised
      Feistel cipher and cycle walking.
    """
    if not 1 <= num_rows < 2**30 or not 1 <= batch_size < 2**30:
        raise ValueError(
            "sample_rows: `num_rows` and `batch_size` must lie in [1, 2**30), got "
            f"num_rows={num_rows} and batch_size={batch_size}; sample shards of larger data."
        )
    if isinstance(step, int | np.integer) and step < 0:
        raise ValueError(
            f"sample_rows: `step` must be at least 0, got {step}; count batches from 0."
        )
    epoch, offset = _position(jnp.asarray(step).astype(jnp.uint32), batch_size, num_rows)
    position = offset + jnp.arange(batch_size, dtype=jnp.uint32)
    # A batch touches few epochs: make the keys of each once, then pick by element.
    relative = position // jnp.uint32(num_rows)
    num_epochs = (batch_size - 1) // num_rows + 2
    epochs = epoch + jnp.arange(num_epochs, dtype=jnp.uint32)
    bits = jax.vmap(lambda e: jax.random.bits(jax.random.fold_in(key, e), (_ROUNDS,), jnp.uint32))
    round_keys = bits(epochs)[relative]
    rows = _permute(position % jnp.uint32(num_rows), round_keys.T, num_rows)
    return rows.astype(jnp.int32)


def _position(
    step: UInt32[Array, ""], batch_size: int, num_rows: int
) -> tuple[UInt32[Array, ""], UInt32[Array, ""]]:
    """Quotient and remainder of step·batch_size by num_rows, whose product overflows 32 bits."""
    whole, part = divmod(batch_size, num_rows)
    # Long division in digits of the step; remainder·2^width + digit·part stays below 2^32.
    width = 31 - num_rows.bit_length()
    n, quotient, remainder = jnp.uint32(num_rows), jnp.uint32(0), jnp.uint32(0)
    for shift in reversed(range(0, 32, width)):
        digit = (step >> jnp.uint32(shift)) & jnp.uint32(2**width - 1)
        carried = (remainder << jnp.uint32(width)) + digit * jnp.uint32(part)
        quotient = (quotient << jnp.uint32(width)) + carried // n
        remainder = carried % n
    return quotient + step * jnp.uint32(whole), remainder


def _permute(
    x: UInt32[Array, "b"], round_keys: UInt32[Array, "rounds b"], num_rows: int
) -> UInt32[Array, "b"]:
    """The image of x in [0, n) under the permutation of [0, n) that the keys choose."""
    a = math.isqrt(num_rows - 1) + 1
    c = -(-num_rows // a)
    n, a, c = jnp.uint32(num_rows), jnp.uint32(a), jnp.uint32(c)

    def mix(x):
        left, right = x // c, x % c
        for i in range(0, _ROUNDS, 2):
            left = (left + _hash(right ^ round_keys[i]) % a) % a
            right = (right + _hash(left ^ round_keys[i + 1]) % c) % c
        return left * c + right

    # a·c exceeds n by at most √n, so that few positions walk on. A walk ends, since the cycle of
    # the bijection that starts in [0, n) returns to it.
    def walk(state):
        y, outside = state
        y = jnp.where(outside, mix(y), y)
        return y, y >= n

    y, _ = jax.lax.while_loop(lambda state: jnp.any(state[1]), walk, (x, x < n))
    return y


def _hash(x: UInt32[Array, "b"]) -> UInt32[Array, "b"]:
    """The finaliser of MurmurHash3: every bit of the input moves every bit of the output."""
    x = (x ^ (x >> jnp.uint32(16))) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> jnp.uint32(13))) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> jnp.uint32(16))
