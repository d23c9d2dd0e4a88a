"""Canonical correlation analysis of any number of views, by one symmetric eigenproblem."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_present, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import (
    JointMoments,
    covariance,
    inverse_cholesky,
    masked_mean,
    moments,
    zero_absent,
)
from crossmodal_jax.transforms._multiview import (
    MultiviewCCA,
    check_shared,
    check_views,
    fix_signs,
    mean_variates,
)
from crossmodal_jax.transforms._transform import Transform, check_moments, matmul, regularised


def generalized_cca(*, dim: int, l2: Float[ArrayLike, ""] | float = 1e-2) -> Transform:
    """Shared coordinates G that all views predict best by ridge regression (MAX-VAR).

    With centred views X_m, P_m = X_m (X_mᵀX_m + nλ_m I)⁻¹ X_mᵀ and λ_m = l2 · tr(S_mm)/d_m,
    the columns of G, of variance 1, are the `dim` leading eigenvectors of the mean of P_m over
    the views, and W_m = (X_mᵀX_m + nλ_m I)⁻¹ X_mᵀ G are the regressions onto G. `strengths` are
    the eigenvalues, at most 1: the share of G that the views explain on average. They come from
    the matrix of all blocks L_m⁻¹ S_mj L_j⁻ᵀ with L_m L_mᵀ = S_mm + λ_m I, whose size is Σ d_m,
    not the number of rows.

    Rows may lack views. With D = diag(number of views of each row), X_m the rows that have view
    m, 0 elsewhere, and n_m their number, G solves the eigenproblem of D^-½ (Σ P_m) D^-½ with
    Gᵀ D G = (Σ n_m) I: it minimises Σ_m ‖G − X_m W_m‖² over what is observed, and a row counts
    by its views. `apply` is the mean of X_m W_m over the views that are present, which on the
    fitted rows is G times `strengths`.

    For l2 → 0 these are the directions of `multiset_cca` up to scale, and those of `cca` for two
    views, with strengths (1 + ρ)/2.

    Args:
      dim: Number of shared coordinates, 1 ≤ dim ≤ min d_m.
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `MultiviewCCA`; it has no inverse. `fit(xs, where=None,
      present=None)` takes the views as one sequence of [n, d_m] and presence [n, M],
      `apply(params, xs, present=None)` views [*batch, d_m] and presence [*batch, M], and
      `solve` the moments of all views, none absent. For one view use `view_variates`.

    Raises:
      ValueError: If `dim` is out of range, there are fewer than two views, the rows differ, or
        a width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0], [2.0], [3.0], [4.0]])
      >>> t = generalized_cca(dim=1, l2=0.0)
      >>> params = t.fit([x, 3 - x, 2 * x])
      >>> z = t.apply(params, [x, 3 - x, 2 * x])
      >>> print(jnp.abs(z.mean().round(3)), z.std().round(3), params.strengths.round(3))
      0.0 1.0 [1.]

    References:
      Horst, Generalized canonical correlations and their applications to experimental data,
      1961. Carroll, Generalization of canonical correlation analysis to three or more sets of
      variables, 1968.
    """

    def solve(moments: JointMoments) -> MultiviewCCA:
        _check_state("generalized_cca", moments, dim)
        blocks, whiteners = _whitened(moments, l2)
        number = len(whiteners)
        return _max_var(moments.means, blocks / number, whiteners, [number**0.5] * number, dim)

    def fit(
        x: Sequence[Float[ArrayLike, "n _"]],
        y: None = None,
        where: Bool[ArrayLike, "n"] | None = None,
        present: Bool[ArrayLike, "n m"] | None = None,
    ) -> MultiviewCCA:
        views = check_views("generalized_cca", x, y, dim)
        if present is None:
            return solve(moments(views, where=where))
        keep = check_where("generalized_cca", where, views[0].shape[:1])
        present = check_present("generalized_cca", present, views) & keep[:, None]
        return _fit_observed(views, present, l2, dim)

    def apply(
        params: MultiviewCCA,
        xs: Sequence[Float[ArrayLike, "..."]],
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch k"]:
        return mean_variates("generalized_cca", params, xs, present)

    return Transform(fit=fit, apply=apply, inverse=None, solve=solve)


def multiset_cca(*, dim: int, l2: Float[ArrayLike, ""] | float = 1e-2) -> Transform:
    """Directions in all views whose variates covary most in sum over the pairs of views.

    Maximises Σ_{m≠j} w_mᵀ S_mj w_j with Σ_m w_mᵀ (S_mm + λ_m I) w_m = M, λ_m = l2 · tr(S_mm)/d_m:
    the generalised eigenproblem of the off-diagonal blocks against the diagonal ones, also
    called SUMCOR with one common constraint. `strengths` are the eigenvalues over M − 1, the
    mean covariance of two variates, which are their correlations where each has variance 1.

    With two views this is `cca` for every l2: the same directions, with `strengths` its
    correlations. With more, the variates of one view are correlated in general; without
    penalty it is their sums over the views that are not.

    Args:
      dim: Number of shared coordinates, 1 ≤ dim ≤ min d_m.
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `MultiviewCCA`; it has no inverse. `fit(xs, where=None)`
      takes the views as one sequence of [n, d_m], `apply(params, xs, present=None)` gives the
      mean of the variates of the views that are present, shape [*batch, dim], for xs of
      [*batch, d_m] and presence [*batch, M], and `solve` takes the moments of all views. For
      one view use `view_variates`.

    Raises:
      ValueError: If `dim` is out of range, there are fewer than two views, the rows differ, or
        a width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0], [2.0], [3.0], [4.0]])
      >>> t = multiset_cca(dim=1, l2=0.0)
      >>> params = t.fit([x, 3 - x, 2 * x])
      >>> print(params.strengths.round(3))
      [1.]

    References:
      Kettenring, Canonical analysis of several sets of variables, 1971.
    """

    def solve(moments: JointMoments) -> MultiviewCCA:
        _check_state("multiset_cca", moments, dim)
        blocks, whiteners = _whitened(moments, l2)
        number, edges = len(whiteners), _edges(whiteners)
        views = jnp.searchsorted(jnp.asarray(edges[1:]), jnp.arange(edges[-1]), side="right")
        between = jnp.where(views[:, None] == views[None, :], 0, blocks)
        values, vectors = _leading(between, dim)
        kernels = _unwhitened(vectors * number**0.5, whiteners)
        return MultiviewCCA(moments.means, kernels, values / (number - 1))

    def fit(
        x: Sequence[Float[ArrayLike, "n _"]],
        y: None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> MultiviewCCA:
        return solve(moments(check_views("multiset_cca", x, y, dim), where=where))

    def apply(
        params: MultiviewCCA,
        xs: Sequence[Float[ArrayLike, "..."]],
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch k"]:
        return mean_variates("multiset_cca", params, xs, present)

    return Transform(fit=fit, apply=apply, inverse=None, solve=solve)


def _fit_observed(
    views: Sequence[Array],
    present: Bool[Array, "n m"],
    l2: Float[ArrayLike, ""] | float,
    dim: int,
) -> MultiviewCCA:
    """`generalized_cca` of rows that may lack views."""
    dtype = views[0].dtype
    means, whiteners, weighted = [], [], []
    counts = jnp.maximum(jnp.sum(present, axis=0), 1).astype(dtype)
    per_row = jnp.maximum(jnp.sum(present, axis=1), 1).astype(dtype)
    for m, x in enumerate(views):
        keep = present[:, m]
        x = zero_absent(x, keep)
        origin = masked_mean(x, keep[:, None], axis=0)
        # What rounding took from the mean is the mean of what is left.
        offset = masked_mean(x - origin, keep[:, None], axis=0)
        centred = zero_absent((x - origin) - offset, keep)
        means.append(origin + offset)
        whiteners.append(inverse_cholesky(regularised(matmul(centred.T, centred) / counts[m], l2)))
        weighted.append(centred / jnp.sqrt(counts[m] * per_row)[:, None])
    whitened = jnp.concatenate(
        [matmul(x, w.T) for x, w in zip(weighted, whiteners, strict=True)], axis=1
    )
    scales = list(jnp.sqrt(jnp.sum(counts) / counts))
    return _max_var(tuple(means), matmul(whitened.T, whitened), whiteners, scales, dim)


def _max_var(
    means: tuple[Array, ...],
    blocks: Float[Array, "d d"],
    whiteners: Sequence[Array],
    scales: Sequence[Array | float],
    dim: int,
) -> MultiviewCCA:
    """W_m = scale_m · √μ L_m⁻ᵀ v_m of the leading eigenpairs (μ, v) of the whitened blocks."""
    values, vectors = _leading(blocks, dim)
    values = jnp.clip(values, 0, 1)
    kernels = _unwhitened(vectors * jnp.sqrt(values), whiteners)
    kernels = tuple(kernel * scale for kernel, scale in zip(kernels, scales, strict=True))
    return MultiviewCCA(means, kernels, values)


def _check_state(name: str, state: JointMoments, dim: int) -> None:
    check_moments(name, state, 2)
    check_shared(name, [origin.shape[0] for origin in state.origins], dim)


def _whitened(
    state: JointMoments, l2: Float[ArrayLike, ""] | float
) -> tuple[Float[Array, "d d"], list[Float[Array, "_ _"]]]:
    """All blocks L_m⁻¹ S_mj L_j⁻ᵀ in one matrix of size Σ d_m, and the L_m⁻¹."""
    views = range(len(state.origins))
    whiteners = [inverse_cholesky(regularised(covariance(state, m, m), l2)) for m in views]
    rows = [
        [matmul(matmul(whiteners[m], covariance(state, m, j)), whiteners[j].T) for j in views]
        for m in views
    ]
    return jnp.block(rows), whiteners


def _leading(blocks: Float[Array, "d d"], dim: int) -> tuple[Array, Array]:
    """The `dim` largest eigenvalues, descending, and their signed eigenvectors."""
    values, vectors = jnp.linalg.eigh((blocks + blocks.T) / 2)
    values, vectors = values[::-1][:dim], vectors[:, ::-1][:, :dim]
    return values, vectors * fix_signs(vectors)


def _unwhitened(
    vectors: Float[Array, "d k"], whiteners: Sequence[Array]
) -> tuple[Float[Array, "_ k"], ...]:
    edges = _edges(whiteners)
    return tuple(
        matmul(w.T, vectors[start:stop])
        for w, start, stop in zip(whiteners, edges[:-1], edges[1:], strict=True)
    )


def _edges(whiteners: Sequence[Array]) -> list[int]:
    edges = [0]
    for w in whiteners:
        edges.append(edges[-1] + w.shape[0])
    return edges
