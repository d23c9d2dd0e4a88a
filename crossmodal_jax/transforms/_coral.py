"""Correlation alignment of two sides without pairs."""

from typing import NamedTuple

from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import JointMoments, covariance, moments
from crossmodal_jax.transforms._transform import (
    Transform,
    affine,
    check_moments,
    matmul,
    unpaired_clouds,
)
from crossmodal_jax.transforms._whiten import whitening_pair


class Coral(NamedTuple):
    """Parameters of `coral`.

    Attributes:
      mean: The mean of x, shape [d].
      kernel: The matrix A, shape [d, d].
      inverse_kernel: A⁻¹, shape [d, d].
      offset: The mean of y, shape [d].
    """

    mean: Float[Array, "d"]
    kernel: Float[Array, "d d"]
    inverse_kernel: Float[Array, "d d"]
    offset: Float[Array, "d"]


def coral(*, l2: Float[ArrayLike, ""] | float = 1e-2) -> Transform:
    """Gives x the mean and the covariance of y, without pairs: whitening, then colouring.

    T(x) = ȳ + (x − x̄) A with A = (S_xx + λ_x I)^(−½) (S_yy + λ_y I)^½, symmetric roots, S the
    covariances divided by the numbers of rows and each λ = l2 · mean variance of its side. At
    l2 → 0 the covariance of T(x) is S_yy, so that the CORAL distance to y is 0.

    The sides are unpaired: they share their width d, not their rows, and each has a mask of its
    own. Gradients through the fit are exact.

    Args:
      l2: Relative penalty ≥ 0; may be traced, and mapped by `jax.vmap`.

    Returns:
      A `Transform` with parameters `Coral`. `fit(x, y, where=None, where_y=None)` takes
      x [n, d], y [m, d] and masks [n] and [m]; `solve` the moments of (x, y), for rows that are
      paired all the same; `apply` x [*batch, d]; `inverse` y [*batch, d], which it maps back.

    Raises:
      ValueError: If y is missing, the widths differ, or a width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x, y = jnp.array([[0.0], [2.0]]), jnp.array([[5.0], [11.0], [5.0], [11.0]])
      >>> t = coral(l2=0.0)
      >>> print(jnp.rint(t.apply(t.fit(x, y), x)).ravel())
      [ 5. 11.]

    References:
      Sun and Saenko, `Deep CORAL: Correlation Alignment for Deep Domain Adaptation
      <https://arxiv.org/abs/1607.01719>`_, 2016, for the distance.
    """

    def align(
        mean: Float[Array, "d"],
        offset: Float[Array, "d"],
        sx: Float[Array, "d d"],
        sy: Float[Array, "d d"],
    ) -> Coral:
        whiten_x, colour_x = whitening_pair(sx, "zca", l2)
        whiten_y, colour_y = whitening_pair(sy, "zca", l2)
        return Coral(mean, matmul(whiten_x, colour_y), matmul(whiten_y, colour_x), offset)

    def solve(state: JointMoments) -> Coral:
        check_moments("coral", state, 2)
        mean, offset = state.means[:2]
        _check_widths(mean.shape[0], offset.shape[0])
        return align(mean, offset, covariance(state, 0, 0), covariance(state, 1, 1))

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "m dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
        where_y: Bool[ArrayLike, "m"] | None = None,
    ) -> Coral:
        x, y, keep, keep_y = unpaired_clouds("coral", x, y, where, where_y)
        first, second = moments((x,), where=keep), moments((y,), where=keep_y)
        return align(
            first.means[0], second.means[0], covariance(first, 0, 0), covariance(second, 0, 0)
        )

    return Transform(fit=fit, apply=_apply, inverse=_inverse, solve=solve)


def _apply(params: Coral, x: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch d"]:
    x = check_width("coral", "x", x, params.mean.shape[0])
    return affine(x, params.mean, params.kernel, params.offset)


def _inverse(params: Coral, y: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch d"]:
    y = check_width("coral", "y", y, params.offset.shape[0])
    return affine(y, params.offset, params.inverse_kernel, params.mean)


def _check_widths(dx: int, dy: int) -> None:
    if dx != dy:
        raise ValueError(
            f"coral: both sides must have one width, got dx={dx} and dy={dy}; reduce the wider "
            "one by pca first."
        )
