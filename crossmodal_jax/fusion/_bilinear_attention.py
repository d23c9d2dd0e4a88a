"""Bilinear attention: every pair of tokens of two modalities is one thing to attend to."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion._inputs import check_dims, check_kernels, linear
from crossmodal_jax.fusion._tokens import clean_tokens


class BilinearAttentionWeights(NamedTuple):
    """Weights of `bilinear_attention` with g glimpses of rank r.

    Attributes:
      kernel: Linear map W of the first modality into the result, shape [d_a, dim].
      attention_kernels: U and V, which the glimpses share, shapes [d_a, r] and [d_b, r].
      attention_vectors: p of each glimpse, shape [g, r].
      pool_kernels: U′ and V′ of each glimpse, shapes [dim, g, r] and [d_b, g, r].
      out_kernels: P of each glimpse, shape [g, r, dim].
    """

    kernel: Float[Array, "d_a dim"]
    attention_kernels: tuple[Float[Array, "d_a r"], Float[Array, "d_b r"]]
    attention_vectors: Float[Array, "g r"]
    pool_kernels: tuple[Float[Array, "dim g r"], Float[Array, "d_b g r"]]
    out_kernels: Float[Array, "g r dim"]


def init_bilinear_attention(
    key: Array,
    dims: Sequence[int],
    dim: int,
    *,
    rank: int | None = None,
    num_glimpses: int = 2,
) -> BilinearAttentionWeights:
    """Initial weights of `bilinear_attention`: all of them random, scaled by their fan-in.

    Every projection keeps variance 1. So have the logits, as a sum over the rank, and the
    glimpses together add a variance of at most about 1 to that of the mean token.

    Args:
      key: Random key.
      dims: Widths d_a and d_b of the two modalities.
      dim: Width of the result.
      rank: Width r in which the modalities are multiplied; None for `dim`.
      num_glimpses: Number g of attention maps.

    Returns:
      Weights in float32: kernel [d_a, dim], attention kernels [d_a, r] and [d_b, r], attention
      vectors [g, r], pool kernels [dim, g, r] and [d_b, g, r], and out kernels [g, r, dim].

    Raises:
      ValueError: If there are not two modalities, or a width, the rank or the number of glimpses
        is not positive.

    Examples:
      >>> import jax
      >>> weights = init_bilinear_attention(jax.random.key(0), (3, 5), 4, rank=2, num_glimpses=6)
      >>> print(weights.attention_vectors.shape, weights.out_kernels.shape)
      (6, 2) (6, 2, 4)
    """
    check_dims("bilinear_attention", dims, dim)
    rank = dim if rank is None else rank
    if len(dims) != 2 or min(rank, num_glimpses) < 1:
        raise ValueError(
            "init_bilinear_attention: `dims` must have two widths, `rank` and `num_glimpses` must "
            f"be positive, got dims={tuple(dims)}, rank={rank} and num_glimpses={num_glimpses}; "
            "fuse more modalities in pairs."
        )
    d_a, d_b = dims
    keys = iter(jax.random.split(key, 7))

    def kernel(fan_in: int, *shape: int) -> Array:
        return jax.random.normal(next(keys), shape, jnp.float32) * fan_in**-0.5

    return BilinearAttentionWeights(
        kernel=kernel(d_a, d_a, dim),
        attention_kernels=(kernel(d_a, d_a, rank), kernel(d_b, d_b, rank)),
        attention_vectors=kernel(rank, num_glimpses, rank),
        pool_kernels=(kernel(dim, dim, num_glimpses, rank), kernel(d_b, d_b, num_glimpses, rank)),
        out_kernels=kernel(num_glimpses * rank, num_glimpses, rank, dim),
    )


def bilinear_attention(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: BilinearAttentionWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
) -> Float[Array, "*batch dim"]:
    """Bilinear attention network (BAN) over the pairs of tokens of two modalities.

    With X [t_a, d_a] and Y [t_b, d_b] the tokens of a sample, each glimpse has one attention map
    over all pairs (i, j), A_g = softmax((1·p_gᵀ ⊙ XU) (YV)ᵀ) [t_a, t_b]. A residual stream of
    tokens F₀ = XW [t_a, dim] takes the glimpses in turn,

    f_{g,k} = (F_g U′_g)_kᵀ A_g (Y V′_g)_k,  F_{g+1} = F_g + 1·(f_gᵀ P_g),  z = mean of the rows of
    F_G.

    A glimpse moves all tokens alike, so that only one vector [dim] is carried along. The paper sums
    the rows of F_G; the mean makes the scale of z that of a token, whatever their number. The paper
    has no W, for its X is of the width of the result. Projections are linear, as in its equations;
    the authors' network has biases, ramps and dropout in them.

    Absence: an absent modality, or one without tokens, is a single token all of whose projections
    (XU and F_g U′_g, or YV and YV′_g) are ones, the neutral factor: what is left is attention
    pooling of the present one, with F₀ = 0 if it is the second. All absent: zeros.

    Cost: d_a·dim + (d_a + d_b)·r + g·r·(1 + 2 dim + d_b) weights. Forward, a sample takes about
    2 t_a (d_a·dim + d_a·r + g·r·dim) + 2 t_b d_b (r + g·r) + 4 g·r·t_a·t_b FLOPs; temporaries are
    the maps [g, t_a, t_b] and arrays [g, t_a, r], [t_b, g, r].

    Choose it when what matters is which token goes with which, as words with regions, and the
    sequences are short: the maps grow as t_a·t_b. It has no generalisation to three modalities
    here; fuse them in pairs.

    Args:
      xs: Two sequences of tokens, shapes [*batch, t_a, d_a] and [*batch, t_b, d_b]; the batch axes
        broadcast.
      weights: As made by `init_bilinear_attention`, for the shapes see
        `BilinearAttentionWeights`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, 2]; None
        if all are present.
      where: True where a token exists: for each modality None, for all of them, or a shape that
        broadcasts to [*batch, t_m]; None if all exist.

    Returns:
      The fused representation, shape [*batch, dim], in the dtype of the inputs; zeros where
      nothing is present. Products and the softmax are taken in float32 at least.

    Raises:
      ValueError: If there are not two modalities, or their shapes, `weights`, `present` or `where`
        disagree.
      TypeError: If a modality is not floating point or `present` or `where` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_bilinear_attention(jax.random.key(0), (3, 5), 4)
      >>> xs = [jnp.ones((2, 6, 3)), jnp.full((2, 7, 5), jnp.nan)]
      >>> present = jnp.array([[True, False], [False, False]])
      >>> z = bilinear_attention(xs, weights, present=present)
      >>> print(jnp.isfinite(z).all(), z[1])
      True [0. 0. 0. 0.]

    References:
      Kim et al., `Bilinear Attention Networks <https://arxiv.org/abs/1805.07932>`_, 2018.
    """
    _check_pair("bilinear_attention", xs)
    (x, y), (x_keep, y_keep) = clean_tokens("bilinear_attention", xs, present, where)
    maps = _attention(x, y, x_keep, y_keep, weights).astype(x.dtype)
    u, v = weights.pool_kernels
    num_glimpses, rank = weights.attention_vectors.shape
    stream = linear(x, weights.kernel)
    left = _factor(stream.astype(x.dtype), x_keep, u.reshape(-1, num_glimpses * rank))
    right = _factor(y, y_keep, v.reshape(-1, num_glimpses * rank))
    left = left.reshape(*left.shape[:-1], num_glimpses, rank)
    right = right.reshape(*right.shape[:-1], num_glimpses, rank).astype(x.dtype)
    heard = jnp.einsum("...gij,...jgr->...gir", maps, right, preferred_element_type=stream.dtype)
    total = jnp.sum(heard, axis=-2)
    first = jnp.sum(jnp.swapaxes(left, -3, -2) * heard, axis=-2)

    # F_g = F₀ + 1·cᵀ, hence f_g = Σᵢ (F₀U′)ᵢ ⊙ (A YV′)ᵢ + cU′ ⊙ Σᵢ (A YV′)ᵢ: both sums over the
    # tokens are taken for all glimpses at once, and only c goes from one to the next.
    carried = jnp.zeros_like(stream[..., 0, :])
    has_x, has_y = jnp.any(x_keep, axis=-1)[..., None], jnp.any(y_keep, axis=-1)[..., None]
    for g in range(num_glimpses):
        moved = jnp.where(has_x, linear(carried.astype(x.dtype), u[:, g]), 0)
        glimpse = first[..., g, :] + moved * total[..., g, :]
        carried = carried + linear(glimpse.astype(x.dtype), weights.out_kernels[g])
    pooled = numerics.masked_mean(stream, x_keep[..., None], axis=-2)
    return jnp.where(has_x | has_y, pooled + carried, 0).astype(x.dtype)


def bilinear_attention_map(
    xs: Sequence[Float[ArrayLike, "..."]],
    weights: BilinearAttentionWeights,
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Sequence[Bool[ArrayLike, "..."] | None] | None = None,
) -> Float[Array, "*batch g t_a t_b"]:
    """Share of each pair of tokens in each glimpse of `bilinear_attention`.

    Args:
      xs: Two sequences of tokens, shapes [*batch, t_a, d_a] and [*batch, t_b, d_b].
      weights: Weights of `bilinear_attention`.
      present: True where a sample has the modality, a shape that broadcasts to [*batch, 2]; None
        if all are present.
      where: True where a token exists: for each modality None, for all of them, or a shape that
        broadcasts to [*batch, t_m]; None if all exist.

    Returns:
      The maps A, shape [*batch, g, t_a, t_b], float32 at least: each sums to 1 over the pairs that
      exist, and is 0 for the others, as for a sample that lacks a modality.

    Raises:
      ValueError: If there are not two modalities, or their shapes, `weights`, `present` or `where`
        disagree.
      TypeError: If a modality is not floating point or `present` or `where` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> weights = init_bilinear_attention(jax.random.key(0), (3, 5), 4, num_glimpses=1)
      >>> xs = [jnp.ones((2, 3)), jnp.ones((2, 5))]
      >>> print(bilinear_attention_map(xs, weights, where=[jnp.array([True, False]), None]))
      [[[0.5 0.5]
        [0.  0. ]]]
    """
    _check_pair("bilinear_attention_map", xs)
    (x, y), (x_keep, y_keep) = clean_tokens("bilinear_attention_map", xs, present, where)
    pairs = x_keep[..., :, None] & y_keep[..., None, :]
    return jnp.where(pairs[..., None, :, :], _attention(x, y, x_keep, y_keep, weights), 0)


def _attention(
    x: Float[Array, "*batch t_a d_a"],
    y: Float[Array, "*batch t_b d_b"],
    x_keep: Bool[Array, "*batch t_a"],
    y_keep: Bool[Array, "*batch t_b"],
    weights: BilinearAttentionWeights,
) -> Float[Array, "*batch g t_a t_b"]:
    """Returns the maps, from clean inputs; an absent modality has all its tokens, of ones."""
    check_kernels("bilinear_attention", (x, y), weights.attention_kernels)
    check_kernels("bilinear_attention", (x, y), (weights.kernel, weights.pool_kernels[1]))
    left = _factor(x, x_keep, weights.attention_kernels[0])
    right = _factor(y, y_keep, weights.attention_kernels[1]).astype(y.dtype)
    scaled = left[..., None, :, :] * weights.attention_vectors[:, None, :].astype(left.dtype)
    # One product per sample, with the glimpses side by side in its rows.
    rows = scaled.reshape(*x.shape[:-2], -1, scaled.shape[-1]).astype(x.dtype)
    logits = jnp.matmul(rows, jnp.swapaxes(right, -2, -1), preferred_element_type=left.dtype)
    shape = (*scaled.shape[:-1], y.shape[-2])
    # Any number of like tokens of ones weighs as much as one.
    x_keep, y_keep = x_keep | ~_any(x_keep), y_keep | ~_any(y_keep)
    pairs = x_keep[..., :, None] & y_keep[..., None, :]
    flat = logits.reshape(*shape[:-2], -1), pairs.reshape(*x.shape[:-2], 1, -1)
    return numerics.masked_softmax(*flat).reshape(shape)


def _factor(
    x: Float[Array, "*batch t d"], keep: Bool[Array, "*batch t"], kernel: Float[Array, "d r"]
) -> Float[Array, "*batch t r"]:
    """Returns the tokens times `kernel`, or the neutral factor of ones where there is no token."""
    return jnp.where(_any(keep)[..., None], linear(x, kernel), 1)


def _any(keep: Bool[Array, "*batch t"]) -> Bool[Array, "*batch 1"]:
    return jnp.any(keep, axis=-1, keepdims=True)


def _check_pair(name: str, xs: Sequence[ArrayLike]) -> None:
    """Raises a ValueError unless `xs` are two arrays with an axis of tokens each."""
    single = isinstance(xs, (jax.Array, np.ndarray))
    shapes = [jnp.shape(x) for x in ([xs] if single else xs)]
    if single or len(shapes) != 2 or min(map(len, shapes)) < 2:
        got = f"one array of shape {shapes[0]}" if single else f"shapes {shapes}"
        raise ValueError(
            f"{name}: `xs` must be a sequence of two modalities [*batch, t, d], got {got}; "
            "fuse more of them in pairs, and give a vector one token with x[..., None, :]."
        )
