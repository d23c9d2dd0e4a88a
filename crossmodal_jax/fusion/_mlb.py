"""Low-rank bilinear pooling: the modalities meet in a product of their projections."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._factors import product_over_present, random_kernel
from crossmodal_jax.fusion._inputs import (
    check_dims,
    check_kernels,
    check_positive,
    clean_inputs,
    linear,
)

# tanh(g·n) of a standard normal number n has mean square 0.577 for this g.
_TANH_GAIN = 5 / 3
_TANH_SQUARE = 0.577


class MlbWeights(NamedTuple):
    """Weights of `mlb`.

    Attributes:
      kernels: Linear map of each modality, shapes [d_m, hidden].
      out_kernel: From the products to the result, shape [hidden, dim].
    """

    kernels: tuple[Float[Array, "d_m hidden"], ...]
    out_kernel: Float[Array, "hidden dim"]


def init_mlb(key: Array, dims: Sequence[int], dim: int, *, hidden_dim: int = 256) -> MlbWeights:
    """Initial weights of `mlb`: random linear maps.

    For inputs of variance 1, Uᵢxᵢ has variance (5/3)² and each factor tanh(Uᵢxᵢ) mean square
    v = 0.577. A product of M independent factors has the product of their mean squares, so the
    entries of P have variance v⁻ᴹ / hidden and the output variance 1 when all are present; each
    absent modality makes it 1/v = 1.7 times as large.

    Args:
      key: Random key.
      dims: Widths d₁ … d_M of the modalities.
      dim: Width of the result.
      hidden_dim: Number of products, the rank of the bilinear map.

    Returns:
      Weights in float32: kernels of shapes [d_m, hidden] and output kernel [hidden, dim].

    Raises:
      ValueError: If there is no modality or a width is not positive.

    Examples:
      >>> import jax
      >>> weights = init_mlb(jax.random.key(0), (3, 5), 4, hidden_dim=8)
      >>> print([kernel.shape for kernel in weights.kernels], weights.out_kernel.shape)
      [(3, 8), (5, 8)] (8, 4)
    """
    check_dims("mlb", dims, dim)
    check_positive("init_mlb", hidden_dim=hidden_dim)
    *keys, out_key = jax.random.split(key, len(dims) + 1)
    kernels = tuple(
        random_kernel(keys[m], (d, hidden_dim), _TANH_GAIN**2 / d) for m, d in enumerate(dims)
    )
    gain = _TANH_SQUARE ** -len(dims)
    return MlbWeights(kernels, random_kernel(out_key, (hidden_dim, dim), gain / hidden_dim))


def mlb(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: MlbWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    activation: Callable[[Array], Array] = jnp.tanh,
) -> Float[Array, "*batch dim"]:
    """Low-rank bilinear pooling (MLB) by a Hadamard product, for any number of modalities.

    z = P (σ(U₁x₁) ⊙ … ⊙ σ(U_M x_M)) with σ = tanh, Uᵢ [hidden, dᵢ] and P [dim, hidden]; the paper
    has M = 2 and calls the maps U and V. With σ the identity, it is a bilinear form in the
    modalities whose tensor has CP rank `hidden`. No bias, dropout or shortcut.

    Absence: An absent modality is a factor of ones, so that the product is that of the others; a
    single one that is present gives P σ(Uᵢxᵢ). Zeros where nothing is present.

    Cost: hidden · (Σ dᵢ + dim) weights, twice as many FLOPs for a sample, and temporaries of
    M · hidden numbers for a sample.

    Choose it as the plainest product of modalities: cheap, two layers deep, nothing to tune but
    `hidden`. `mfb` pools its products, `mutan` and `block` let more of them interact.

    Args:
      xs: One array per modality, shapes [*batch, d_m]; the batch axes broadcast.
      weights: Kernels Uᵢ of shapes [d_m, hidden] and output kernel P [hidden, dim], as made by
        `init_mlb`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
        None if all are present.
      activation: The function σ; the initial weights suit tanh, that of the paper.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present. Products add up in float32 at least.

    Raises:
      ValueError: If the shapes of the modalities, `weights` or `present` disagree.
      TypeError: If a modality is not floating point or `present` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> weights = MlbWeights((jnp.eye(2), jnp.eye(2)), jnp.eye(2))
      >>> xs = [jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])]
      >>> print(mlb(xs, weights, activation=lambda h: h))
      [3. 8.]
      >>> present = jnp.array([False, True])
      >>> print(mlb(xs, weights, present=present, activation=lambda h: h))
      [3. 4.]

    References:
      Kim et al., `Hadamard Product for Low-rank Bilinear Pooling
      <https://arxiv.org/abs/1610.04325>`_, 2017.
    """
    xs, mask = clean_inputs("mlb", xs, present)
    check_kernels("mlb", xs, weights.kernels)
    factors = [activation(linear(x, kernel)) for x, kernel in zip(xs, weights.kernels, strict=True)]
    hidden = product_over_present(factors, mask).astype(xs[0].dtype)
    return linear(hidden, weights.out_kernel).astype(xs[0].dtype)
