"""The map of an entropic optimal transport plan, for new points too."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.kernels import sinkhorn
from crossmodal_jax.numerics import covariance, moments
from crossmodal_jax.transforms._barycentric import barycentric, positive, uniform
from crossmodal_jax.transforms._transform import Transform, unpaired_clouds


class EntropicOT(NamedTuple):
    """Parameters of `entropic_ot`; the pairs hold what belongs to x and to y.

    Attributes:
      points: The fitted rows, 0 where dropped, shapes [n, d] and [m, d].
      weights: Their weights a and b, 0 where dropped, shapes [n] and [m].
      potentials: The dual potentials f and g, shapes [n] and [m].
      epsilon: ε in the unit of the squared distance, a scalar.
      value: ⟨P, C⟩ + ε KL(P ‖ abᵀ) of the plan, a scalar.
      error: That of `kernels.Sinkhorn`: how far the plan was from its marginals, a scalar.
    """

    points: tuple[Float[Array, "n d"], Float[Array, "m d"]]
    weights: tuple[Float[Array, "n"], Float[Array, "m"]]
    potentials: tuple[Float[Array, "n"], Float[Array, "m"]]
    epsilon: Float[Array, ""]
    value: Float[Array, ""]
    error: Float[Array, ""]


def entropic_ot(
    *,
    epsilon: Float[ArrayLike, ""] | float = 0.05,
    max_iterations: int = 2000,
    tolerance: float = 1e-3,
) -> Transform:
    """The barycentric map of the entropic transport plan between two clouds; unpaired.

    T(x) = Σⱼ wⱼ(x) yⱼ with wⱼ(x) ∝ bⱼ exp((gⱼ − ‖x − yⱼ‖²)/ε), where g is the dual potential that
    `kernels.sinkhorn` finds. On a fitted row xᵢ this is Σⱼ Pᵢⱼyⱼ / Σⱼ Pᵢⱼ, the mean of y under the
    plan P given xᵢ; any other point has its value too. For ε → 0 fitted rows go to the rows that
    the optimal assignment gives them, for ε → ∞ all go to ȳ. Neither fit nor apply ever holds a
    matrix [n, m]. `inverse` is the map of the plan back, Σᵢ wᵢ(y) xᵢ with the potential f; it
    undoes `apply` only as ε → 0.

    ε = epsilon · (tr S_x + tr S_y), S the covariances divided by n: relative to the mean of
    ‖x − y‖² over all pairs once both clouds are moved to one mean. Moving or scaling the data
    therefore moves or scales T.

    Args:
      epsilon: Relative strength > 0 of the entropy; may be traced, and mapped by `jax.vmap`.
        In float32 the potentials lose digits below about 1e-4.
      max_iterations: Most iterations of Sinkhorn.
      tolerance: Largest error Σᵢ |Σⱼ Pᵢⱼ − aᵢ| of the marginals at which they end.

    Returns:
      A `Transform` with parameters `EntropicOT`. It is unpaired: `fit(x, y, where=None,
      where_y=None)` takes x [n, d] and y [m, d], whose rows need not correspond. `apply` takes
      x [*batch, d], `inverse` y [*batch, d].

    Raises:
      ValueError: If y is missing, the widths of x and y differ, or a width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x, y = jnp.array([[0.0], [1.0], [2.0]]), jnp.array([[9.0], [5.0], [7.0]])
      >>> t = entropic_ot(epsilon=0.01)
      >>> params = t.fit(x, y)
      >>> print(jnp.rint(t.apply(params, x)).ravel())
      [5. 7. 9.]

    References:
      Cuturi, `Sinkhorn Distances: Lightspeed Computation of Optimal Transport
      <https://arxiv.org/abs/1306.0895>`_, 2013. Pooladian and Niles-Weed, `Entropic estimation
      of optimal transport maps <https://arxiv.org/abs/2109.12004>`_, 2021.
    """

    def fit(
        x: Float[ArrayLike, "n d"],
        y: Float[ArrayLike, "m d"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
        where_y: Bool[ArrayLike, "m"] | None = None,
    ) -> EntropicOT:
        x, y, keep, keep_y = unpaired_clouds("entropic_ot", x, y, where, where_y)
        sides = moments((x,), where=keep), moments((y,), where=keep_y)
        scale = sum(jnp.trace(covariance(side, 0, 0)) for side in sides)
        eps = positive(jnp.asarray(epsilon, x.dtype) * scale)
        found = sinkhorn(
            x,
            y,
            epsilon=eps,
            where=keep,
            where_y=keep_y,
            max_iterations=max_iterations,
            tolerance=tolerance,
        )
        weights = uniform(keep, x.dtype), uniform(keep_y, x.dtype)
        return EntropicOT((x, y), weights, (found.f, found.g), eps, found.value, found.error)

    return Transform(fit=fit, apply=_apply, inverse=_inverse)


def _apply(params: EntropicOT, x: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch d"]:
    return _map(params, check_width("entropic_ot", "x", x, params.points[0].shape[1]), 1)


def _inverse(params: EntropicOT, y: Float[ArrayLike, "*batch d"]) -> Float[Array, "*batch d"]:
    return _map(params, check_width("entropic_ot", "y", y, params.points[1].shape[1]), 0)


def _map(params: EntropicOT, x: Array, side: int) -> Array:
    """Means of the points of `side` given points of the other."""
    points = params.points[side]
    return barycentric(
        x,
        points,
        points,
        potential=params.potentials[side],
        weight=params.weights[side],
        epsilon=params.epsilon,
    )
