"""A rotation between two clouds whose correspondence is unknown."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.kernels import sinkhorn
from crossmodal_jax.numerics import polar_factor, safe_norm
from crossmodal_jax.transforms._barycentric import barycentric, centred, positive
from crossmodal_jax.transforms._transform import Transform, affine, matmul, unpaired_clouds


class ProcrustesWasserstein(NamedTuple):
    """Parameters of `procrustes_wasserstein`.

    Attributes:
      means: The means x̄ and ȳ, shapes [d] and [d].
      rotation: The orthogonal matrix Q, of either determinant, shape [d, d].
      value: The entropic transport cost between the rotated x and y, both centred, a scalar.
    """

    means: tuple[Float[Array, "d"], Float[Array, "d"]]
    rotation: Float[Array, "d d"]
    value: Float[Array, ""]


def procrustes_wasserstein(
    *,
    epsilon: Float[ArrayLike, ""] | float = 0.02,
    num_steps: int = 30,
    max_iterations: int = 300,
    tolerance: float = 1e-3,
) -> Transform:
    """The rotation under which two clouds are nearest in transport, row for row unknown; unpaired.

    T(x) = ȳ + (x − x̄) Q. Over QᵀQ = I and plans P with equal weights a, b it minimises
    Σᵢⱼ Pᵢⱼ ‖(xᵢ − x̄) Q − (yⱼ − ȳ)‖² + ε KL(P ‖ abᵀ) by turns: P by `kernels.sinkhorn` for Q, then
    Q = UVᵀ for XᵀPY = UΣVᵀ. ε falls from ten times its value over the first half of the steps.

    The problem is not convex, so three starts are tried and that of least cost is kept: no
    rotation; the principal axes of x onto those of y, each signed by its skewness; and the
    rotation nearest to the plan that matches rows by their distance to the mean. A cloud that
    looks like itself after a rotation, as a Gaussian with equal variances does, has no answer.

    Args:
      epsilon: Relative strength > 0 of the entropy: ε = epsilon · (tr S_x + tr S_y), the mean of
        ‖x − y‖² over all pairs once both clouds are centred. May be traced.
      num_steps: Number of turns, at least 1.
      max_iterations: Most iterations of Sinkhorn in each.
      tolerance: Error of the marginals at which they end.

    Returns:
      A `Transform` with parameters `ProcrustesWasserstein`. It is unpaired: `fit(x, y,
      where=None, where_y=None)` takes x [n, d] and y [m, d], whose rows need not correspond.
      `apply` takes x [*batch, d]; `inverse` y [*batch, d], by Qᵀ and exactly.

    Raises:
      ValueError: If y is missing, the widths of x and y differ, or a width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
      >>> t = procrustes_wasserstein()
      >>> params = t.fit(x, x[::-1] @ jnp.array([[0.0, 1.0], [-1.0, 0.0]]) + 5)
      >>> print(jnp.round(t.apply(params, x), 2))
      [[5. 5.]
       [5. 8.]
       [4. 5.]
       [3. 5.]]

    References:
      Grave, Joulin and Berthet, `Unsupervised Alignment of Embeddings with Wasserstein Procrustes
      <https://arxiv.org/abs/1805.11222>`_, 2019.
    """

    def fit(
        x: Float[ArrayLike, "n d"],
        y: Float[ArrayLike, "m d"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
        where_y: Bool[ArrayLike, "m"] | None = None,
    ) -> ProcrustesWasserstein:
        x, y, keep, keep_y = unpaired_clouds("procrustes_wasserstein", x, y, where, where_y)
        (x, a, mean_x), (y, b, mean_y) = centred(x, keep), centred(y, keep_y)
        scale = jnp.sum(a @ jnp.square(x)) + jnp.sum(b @ jnp.square(y))
        eps = positive(jnp.asarray(epsilon, x.dtype) * scale)

        def coupling(points: Array, targets: Array, eps: Array) -> tuple[Array, Array]:
            """XᵀPY for the plan between the points and the targets, and its cost."""
            found = sinkhorn(
                points,
                targets,
                epsilon=eps,
                where=keep,
                where_y=keep_y,
                max_iterations=max_iterations,
                tolerance=tolerance,
            )
            means = barycentric(points, targets, y, potential=found.g, weight=b, epsilon=eps)
            return matmul((a[:, None] * x).T, means), found.value

        def step(rotation: Array, factor: Array) -> tuple[Array, None]:
            cross, _ = coupling(matmul(x, rotation), y, factor * eps)
            return polar_factor(cross), None

        def run(start: Array) -> tuple[Array, Array]:
            turns = jnp.arange(num_steps, dtype=x.dtype)
            factors = 10 ** jnp.maximum(1 - 2 * turns / num_steps, 0)
            rotation, _ = jax.lax.scan(step, start, factors)
            return rotation, coupling(matmul(x, rotation), y, eps)[1]

        norms = [safe_norm(z, keepdims=True) for z in (x, y)]
        by_norm, _ = coupling(norms[0], norms[1], eps)
        axes = matmul(_skewed_axes(x, a), _skewed_axes(y, b).T)
        starts = jnp.stack([jnp.eye(x.shape[1], dtype=x.dtype), axes, polar_factor(by_norm)])
        rotations, values = jax.lax.map(run, starts)
        best = jnp.argmin(values)
        return ProcrustesWasserstein((mean_x, mean_y), rotations[best], values[best])

    return Transform(fit=fit, apply=_apply, inverse=_inverse)


def _skewed_axes(x: Float[Array, "n d"], weight: Float[Array, "n"]) -> Float[Array, "d d"]:
    """Principal axes of centred rows as columns, along which the third moment is positive."""
    vectors = jnp.linalg.eigh(matmul((weight[:, None] * x).T, x))[1]
    skewness = weight @ matmul(x, vectors) ** 3
    return jnp.where(skewness < 0, -vectors, vectors)


def _apply(
    params: ProcrustesWasserstein, x: Float[ArrayLike, "*batch d"]
) -> Float[Array, "*batch d"]:
    x = check_width("procrustes_wasserstein", "x", x, params.means[0].shape[0])
    return affine(x, params.means[0], params.rotation, params.means[1])


def _inverse(
    params: ProcrustesWasserstein, y: Float[ArrayLike, "*batch d"]
) -> Float[Array, "*batch d"]:
    y = check_width("procrustes_wasserstein", "y", y, params.means[1].shape[0])
    return affine(y, params.means[1], params.rotation.T, params.means[0])
