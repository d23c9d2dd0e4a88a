"""Canonical correlation analysis of the moment of all views at once."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import (
    covariance,
    inverse_cholesky,
    moments,
    safe_divide,
    safe_norm,
    solve_psd,
    zero_absent,
)
from crossmodal_jax.transforms._multiview import (
    MultiviewCCA,
    check_views,
    fix_signs,
    mean_variates,
)
from crossmodal_jax.transforms._transform import Transform, matmul, regularised

_NUM_ITERATIONS = 200
_BLOCK = 128
"""Rows whose outer products are held at a time."""


def tensor_cca(*, dim: int, l2: Float[ArrayLike, ""] | float = 1e-2) -> Transform:
    """Directions in M views whose variates have the largest joint moment E[z₁ z₂ ⋯ z_M].

    With λ_m = l2 · tr(S_mm)/d_m and L_m L_mᵀ = S_mm + λ_m I, the whitened moment
    T = (1/n) Σᵢ ⊗_m L_m⁻¹ (x_im − x̄_m), of shape [d_1, …, d_M], is approximated by
    Σ_k s_k ⊗_m u_mk with unit vectors u_mk (the CP decomposition): W_m = L_m⁻ᵀ U_m, and
    `strengths` are s, descending by magnitude. Two views of one latent share a covariance;
    three share a third moment, which is 0 for symmetric latents, such as Gaussian ones. So
    this finds what pairs of views do not show, and needs skewed data for three views.

    The decomposition is found by 200 rounds of alternating least squares from the leading left
    singular vectors of the unfoldings: the same result each time, though for more than two
    views it may be a local optimum. With two views it is `cca`, with `strengths` its
    correlations. The sign of each W_m column is that in which its variates covary with those of
    the first view; s_k may be negative when M is even.

    Memory is that of T, Π d_m numbers, and 128 outer products of all views but the last: reduce
    wide views first, as by `pca`.

    Args:
      dim: Number of shared coordinates, 1 ≤ dim ≤ min d_m.
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `MultiviewCCA`; it has no inverse and no `solve`.
      `fit(xs, where=None)` takes the views as one sequence of [n, d_m], and
      `apply(params, xs, present=None)` gives the mean of the variates of the views that are
      present, shape [*batch, dim], for xs of [*batch, d_m] and presence [*batch, M]. For one
      view use `view_variates`.

    Raises:
      ValueError: If `dim` is out of range, there are fewer than two views, the rows differ, or
        a width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[0.0], [0.0], [0.0], [4.0]])  # skewed, with skewness 2/√3
      >>> params = tensor_cca(dim=1, l2=0.0).fit([x, -x, 2 * x])
      >>> print(params.strengths.round(2))
      [1.15]

    References:
      Luo et al., `Tensor Canonical Correlation Analysis for Multi-view Dimension Reduction
      <https://arxiv.org/abs/1502.02330>`_, 2015.
    """

    def fit(
        x: Sequence[Float[ArrayLike, "n _"]],
        y: None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> MultiviewCCA:
        views = check_views("tensor_cca", x, y, dim)
        keep = check_where("tensor_cca", where, views[0].shape[:1])
        state = moments(views, where=keep)
        whitened, whiteners = [], []
        for m, (view, mean) in enumerate(zip(views, state.means, strict=True)):
            whiteners.append(inverse_cholesky(regularised(covariance(state, m, m), l2)))
            centred = zero_absent(zero_absent(view, keep) - mean, keep)
            whitened.append(matmul(centred, whiteners[m].T))
        number = jnp.maximum(state.count, 1).astype(views[0].dtype)
        tensor = _outer_sum(whitened) / number
        factors, strengths = _decompose(tensor, dim)
        signs = _signs([matmul(z, u) for z, u in zip(whitened, factors, strict=True)], factors)
        order = jnp.argsort(-jnp.abs(strengths))
        kernels = tuple(
            matmul(w.T, u * s)[:, order] for w, u, s in zip(whiteners, factors, signs, strict=True)
        )
        total = jnp.prod(jnp.stack(signs), axis=0)
        return MultiviewCCA(state.means, kernels, (strengths * total)[order])

    def apply(
        params: MultiviewCCA,
        xs: Sequence[Float[ArrayLike, "..."]],
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch k"]:
        return mean_variates("tensor_cca", params, xs, present)

    return Transform(fit=fit, apply=apply)


def _outer_sum(views: Sequence[Float[Array, "n _"]]) -> Array:
    """Σᵢ ⊗_m x_im, a block of rows at a time."""
    pad = -views[0].shape[0] % _BLOCK
    blocks = [jnp.pad(x, ((0, pad), (0, 0))).reshape(-1, _BLOCK, x.shape[1]) for x in views]

    def add(total: Array, rows: Sequence[Array]) -> tuple[Array, None]:
        return total + matmul(_columns(rows[:-1]).T, rows[-1]), None

    shape = [x.shape[1] for x in views]
    start = jnp.zeros((math.prod(shape[:-1]), shape[-1]), views[0].dtype)
    return jax.lax.scan(add, start, blocks)[0].reshape(shape)


def _columns(factors: Sequence[Float[Array, "r _"]]) -> Float[Array, "r p"]:
    """Row-wise outer products (Khatri-Rao), flattened in the order of the factors."""
    product = factors[0]
    for other in factors[1:]:
        product = (product[:, :, None] * other[:, None, :]).reshape(len(product), -1)
    return product


def _decompose(tensor: Array, dim: int) -> tuple[list[Array], Float[Array, "k"]]:
    """Unit factors [d_m, k] and strengths of the CP decomposition, by alternating least squares."""
    modes = range(tensor.ndim)
    unfolded = [jnp.moveaxis(tensor, m, 0).reshape(tensor.shape[m], -1) for m in modes]
    start = [jnp.linalg.eigh(matmul(t, t.T))[1][:, ::-1][:, :dim] for t in unfolded]

    def round_(_: Array, state: tuple[list[Array], Array]) -> tuple[list[Array], Array]:
        factors, strengths = list(state[0]), state[1]
        for m in modes:
            rest = [u for j, u in enumerate(factors) if j != m]
            gram = jnp.prod(jnp.stack([matmul(u.T, u) for u in rest]), axis=0)
            image = matmul(unfolded[m], _columns([u.T for u in rest]).T)
            solved = solve_psd(regularised(gram, 0.0), image.T).T
            strengths = safe_norm(solved, axis=0)
            # A direction without any moment keeps the place it had.
            unit = safe_divide(solved, strengths[None])
            factors[m] = jnp.where(strengths[None] > 0, unit, factors[m])
        return factors, strengths

    state = start, jnp.zeros((dim,), tensor.dtype)
    return jax.lax.fori_loop(0, _NUM_ITERATIONS, round_, state)


def _signs(
    variates: Sequence[Float[Array, "n k"]], factors: Sequence[Float[Array, "_ k"]]
) -> list[Float[Array, "k"]]:
    """Signs under which all views covary with the first; the moment itself leaves pairs free."""
    relative = [
        jnp.where(jnp.sum(z * variates[0], axis=0) < 0, -1, 1).astype(z.dtype) for z in variates
    ]
    if len(variates) % 2 == 0:
        return [s * fix_signs(factors[0]) for s in relative]
    # Turning an odd number of views turns the moment, which shall be positive.
    return [s * jnp.prod(jnp.stack(relative), axis=0) for s in relative]
