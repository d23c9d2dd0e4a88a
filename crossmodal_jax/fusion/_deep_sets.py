"""Deep sets: one map for every modality, a symmetric pool, another map."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_choice
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import (
    check_dims,
    check_kernels,
    check_positive,
    clean_inputs,
    linear,
    scaled_normal,
)

# With the gain 5/3 before and 4/3 after it, tanh keeps the variance 1 of normal numbers.
_IN_GAIN, _OUT_GAIN = 5 / 3, 4 / 3


class DeepSetsWeights(NamedTuple):
    """Weights of `deep_sets`.

    Attributes:
      kernels: Linear map of each modality into the hidden layer of φ, shapes [d_m, hidden].
      bias: Bias of that layer, shape [hidden].
      phi_kernel: Output layer of φ, shape [hidden, hidden].
      phi_bias: Its bias, shape [hidden].
      rho_in_kernel: Hidden layer of ρ, shape [hidden, hidden].
      rho_in_bias: Its bias, shape [hidden].
      rho_out_kernel: Output layer of ρ, shape [hidden, dim].
      rho_out_bias: Its bias, shape [dim].
    """

    kernels: tuple[Float[Array, "d_m hidden"], ...]
    bias: Float[Array, "hidden"]
    phi_kernel: Float[Array, "hidden hidden"]
    phi_bias: Float[Array, "hidden"]
    rho_in_kernel: Float[Array, "hidden hidden"]
    rho_in_bias: Float[Array, "hidden"]
    rho_out_kernel: Float[Array, "hidden dim"]
    rho_out_bias: Float[Array, "dim"]


def init_deep_sets(
    key: Array, dims: Sequence[int], dim: int, *, hidden: int | None = None
) -> DeepSetsWeights:
    """Initial weights of `deep_sets`, one choice for every pool.

    Gains of 5/3 before tanh and 4/3 after it keep the variance 1 of the inputs. Only φ ends with
    variance √M: the mean of M independent values then has variance 1/√M and their sum M √M, both
    of which the tanh of ρ brings near 1.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      hidden: Width of all layers between; None for `dim`.

    Returns:
      Weights in float32: kernels of shapes [d_m, hidden], three further kernels, [hidden, hidden]
      twice and [hidden, dim], and a bias for each of the four layers, zeros.

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_deep_sets(jax.random.key(0), (3, 5), 4, hidden=6)
      >>> print([kernel.shape for kernel in weights.kernels], weights.rho_out_kernel.shape)
      [(3, 6), (5, 6)] (6, 4)
    """
    check_dims("deep_sets", dims, dim)
    hidden = dim if hidden is None else hidden
    check_positive("init_deep_sets", hidden=hidden)
    *keys, phi_key, in_key, out_key = jax.random.split(key, len(dims) + 3)
    return DeepSetsWeights(
        kernels=tuple(scaled_normal(keys[m], (d, hidden), _IN_GAIN) for m, d in enumerate(dims)),
        bias=jnp.zeros(hidden, jnp.float32),
        phi_kernel=scaled_normal(phi_key, (hidden, hidden), _OUT_GAIN * len(dims) ** 0.25),
        phi_bias=jnp.zeros(hidden, jnp.float32),
        rho_in_kernel=scaled_normal(in_key, (hidden, hidden), _IN_GAIN),
        rho_in_bias=jnp.zeros(hidden, jnp.float32),
        rho_out_kernel=scaled_normal(out_key, (hidden, dim), _OUT_GAIN),
        rho_out_bias=jnp.zeros(dim, jnp.float32),
    )


def deep_sets(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: DeepSetsWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    pool: str = "mean",
) -> Float[Array, "*batch dim"]:
    """Deep sets: a function of the set of modalities that are present.

    z = ρ(poolᵢ φ(Pᵢxᵢ)) over the present i, with one hidden layer each:
    φ(u) = tanh(u + a) F + f and ρ(s) = tanh(s R + r) Q + q. All modalities share φ; what would
    be its first kernel is part of the Pᵢ, which bring them into one space. The pool is taken
    unit by unit. tanh is bounded, so a sum of many keeps the result within the scale of a mean.

    Absence: an absent modality is not in the set, and no pool sees it. The empty set pools to
    the zero vector whatever `pool` is, so that z = ρ(0) = tanh(r) Q + q where nothing is present.

    Cost: h Σ d_m + 2h² + h dim + 3h + dim weights with h the hidden width,
    2h (Σ d_m + (m + 1) h + dim) operations a sample, and 2 m h numbers in float32; "median" adds
    m² h comparisons.

    Choose it where the modalities are alike, many, or often absent, as several pictures of one
    thing are. "sum" can count; "mean" does not depend on how many there are; "max" and "min" keep
    the strongest sign of a feature; "median" is not moved by one bad modality of three or more.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Pᵢ [d_m, hidden], kernels F, R [hidden, hidden] and Q [hidden, dim], and
        biases a, f, r [hidden] and q [dim], as made by `init_deep_sets`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      pool: "sum", "mean", "max", "min" or "median"; the median of an even number is the mean of
        the two in the middle.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs. Products and the
      pool are taken in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree, or `pool` is
        not one of the five.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_deep_sets(jax.random.key(0), (3, 5), 4)
      >>> xs = [jnp.ones((2, 3)), jnp.ones((2, 5))]
      >>> print(deep_sets(xs, weights, pool="max").shape)
      (2, 4)
      >>> print(deep_sets(xs, weights, present=jnp.array([False, False]))[0])
      [0. 0. 0. 0.]

    References:
      Zaheer et al., `Deep Sets <https://arxiv.org/abs/1703.06114>`_, 2017. The paper sums.
    """
    check_choice("deep_sets", "pool", pool, _POOLS)
    xs, mask = clean_inputs("deep_sets", xs, present)
    check_kernels("deep_sets", xs, weights.kernels)
    dtype = xs[0].dtype
    mapped = [linear(x, kernel) for x, kernel in zip(xs, weights.kernels, strict=True)]
    encoded = _output_layer(
        jnp.stack(mapped, axis=-2), weights.bias, weights.phi_kernel, weights.phi_bias, dtype
    )
    pooled = _POOLS[pool](encoded, mask[..., None], axis=-2)
    return _output_layer(
        linear(pooled.astype(dtype), weights.rho_in_kernel),
        weights.rho_in_bias,
        weights.rho_out_kernel,
        weights.rho_out_bias,
        dtype,
    ).astype(dtype)


def _output_layer(x: Array, in_bias: Array, kernel: Array, bias: Array, dtype: jnp.dtype) -> Array:
    """Returns tanh(x + in_bias)·kernel + bias, the product with operands of `dtype`."""
    x = linear(jnp.tanh(x + in_bias.astype(x.dtype)).astype(dtype), kernel)
    return x + bias.astype(x.dtype)


def _masked_median(
    x: Float[Array, "*batch m d"], where: Bool[Array, "*batch m 1"], *, axis: int
) -> Float[Array, "*batch d"]:
    """Median of the kept entries along the axis before the last; 0 if there are none.

    Counts how many come before each entry instead of sorting: for a few entries that is cheaper,
    and what is left to differentiate is a mean of one or two of them.
    """
    del axis  # the one before the last
    keep = jnp.broadcast_to(where, x.shape)
    index = jnp.arange(x.shape[-2])
    first = index[None, :, None] < index[:, None, None]
    one, other = x[..., :, None, :], x[..., None, :, :]
    before = (other < one) | ((other == one) & first)
    rank = jnp.sum(before & keep[..., None, :, :], axis=-2)
    count = jnp.sum(keep, axis=-2, keepdims=True)
    middle = (rank == (count - 1) // 2).astype(x.dtype) + (rank == count // 2).astype(x.dtype)
    return jnp.sum(jnp.where(keep, 0.5 * middle * x, 0), axis=-2)


_POOLS: dict[str, Callable[..., Array]] = {
    "sum": numerics.masked_sum,
    "mean": numerics.masked_mean,
    "max": numerics.masked_max,
    "min": numerics.masked_min,
    "median": _masked_median,
}
