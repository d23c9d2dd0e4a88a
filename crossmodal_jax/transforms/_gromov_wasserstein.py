"""Maps between spaces by entropic Gromov-Wasserstein plans, without a matrix of distances."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.kernels import sinkhorn
from crossmodal_jax.transforms._barycentric import barycentric, centred, positive
from crossmodal_jax.transforms._transform import Transform, matmul, unpaired_clouds


class GromovWasserstein(NamedTuple):
    """Parameters of `gromov_wasserstein`; the pairs hold what belongs to x and to y.

    Attributes:
      means: The means x̄ and ȳ, shapes [dx] and [dy].
      points: The fitted rows minus their mean, 0 where dropped, shapes [n, dx] and [m, dy].
      weights: Their weights a and b, 0 where dropped, shapes [n] and [m].
      coupling: K = Σᵢⱼ Pᵢⱼ (xᵢ − x̄)(yⱼ − ȳ)ᵀ of the last plan but one, shape [dx, dy].
      potentials: The dual potentials of the last plan, shapes [n] and [m].
      epsilon: ε in the unit of the cost, a scalar.
      value: The objective of the last plan without its entropy, a scalar.
    """

    means: tuple[Float[Array, "dx"], Float[Array, "dy"]]
    points: tuple[Float[Array, "n dx"], Float[Array, "m dy"]]
    weights: tuple[Float[Array, "n"], Float[Array, "m"]]
    coupling: Float[Array, "dx dy"]
    potentials: tuple[Float[Array, "n"], Float[Array, "m"]]
    epsilon: Float[Array, ""]
    value: Float[Array, ""]


def gromov_wasserstein(
    *,
    epsilon: Float[ArrayLike, ""] | float = 0.02,
    alpha: float = 1.0,
    num_steps: int = 20,
    max_iterations: int = 500,
    tolerance: float = 1e-4,
) -> Transform:
    """The map of a plan that keeps distances within each cloud, across spaces; unpaired.

    With C^x_ik = ‖xᵢ − xₖ‖² and C^y likewise it looks for the plan P with marginals a, b of least

    α Σᵢⱼₖₗ (C^x_ik − C^y_jl)² PᵢⱼPₖₗ + (1 − α) Σᵢⱼ ‖xᵢ − yⱼ − (x̄ − ȳ)‖² Pᵢⱼ + ε KL(P ‖ abᵀ).

    From P = abᵀ on, each step solves an entropic transport problem whose cost is the derivative
    of the first two terms, −4α C^x P C^y + (1 − α) ‖xᵢ − yⱼ‖² up to terms of i or j alone. For
    squared distances that cost is 1 + dx or fewer products per entry,
    −4α ‖xᵢ‖²‖yⱼ‖² − 2 xᵢᵀ(8αK + (1 − α)I) yⱼ with centred rows and K = XᵀPY: no matrix [n, n],
    [n, m] or [m, m] is ever held. The objective is not convex: a cloud with symmetries, or one
    whose distances to its mean say little, may end in a worse plan.

    `apply` gives any x the mean of y under the last plan, by the dual potential, as
    `entropic_ot` does with the squared distance: on a fitted row it is Σⱼ Pᵢⱼyⱼ / Σⱼ Pᵢⱼ, and a new
    x is treated as one more row with that cost. `inverse` is the map of the plan back.

    Args:
      epsilon: Relative strength > 0 of the entropy:
        ε = epsilon · (α c_x c_y + (1 − α)(c_x + c_y)/2) with c_x = 2 tr S_x the mean
        of C^x and c_y that of C^y. May be traced.
      alpha: Weight in (0, 1] of the distances within the clouds; below 1 the fused form, for which
        x and y have one width.
      num_steps: Number of transport problems that are solved, each from the plan before.
      max_iterations: Most iterations of Sinkhorn in each.
      tolerance: Error of the marginals at which they end.

    Returns:
      A `Transform` with parameters `GromovWasserstein`. It is unpaired: `fit(x, y, where=None,
      where_y=None)` takes x [n, dx] and y [m, dy], whose rows need not correspond. `apply` takes
      x [*batch, dx], `inverse` y [*batch, dy].

    Raises:
      ValueError: If alpha is not in (0, 1], y is missing, the widths differ with alpha < 1, or a
        width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
      >>> t = gromov_wasserstein(epsilon=1e-3)
      >>> params = t.fit(x, x[::-1] @ jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
      >>> print(jnp.abs(jnp.round(t.apply(params, x))))
      [[0. 0. 0.]
       [0. 3. 0.]
       [0. 0. 1.]]

    References:
      Peyré, Cuturi and Solomon, Gromov-Wasserstein Averaging of Kernel and Distance Matrices,
      2016. Vayer et al., `Optimal Transport for structured data with application on graphs
      <https://arxiv.org/abs/1805.09114>`_, 2019.
    """
    if not 0 < alpha <= 1:
        raise ValueError(
            f"gromov_wasserstein: `alpha` must be in (0, 1], got {alpha}; for 0 use entropic_ot."
        )

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "m dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
        where_y: Bool[ArrayLike, "m"] | None = None,
    ) -> GromovWasserstein:
        name = "gromov_wasserstein"
        x, y, keep, keep_y = unpaired_clouds(name, x, y, where, where_y, one_width=alpha < 1)
        (x, a, mean_x), (y, b, mean_y) = centred(x, keep), centred(y, keep_y)
        c_x, c_y = 2 * jnp.sum(a @ jnp.square(x)), 2 * jnp.sum(b @ jnp.square(y))
        scale = alpha * c_x * c_y + (1 - alpha) * (c_x + c_y) / 2
        eps = positive(jnp.asarray(epsilon, x.dtype) * scale)

        def step(coupling: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
            features, targets = features_of(x, coupling, alpha), _targets(y)
            found = sinkhorn(
                features,
                targets,
                epsilon=eps,
                where=keep,
                where_y=keep_y,
                max_iterations=max_iterations,
                tolerance=tolerance,
            )
            means = barycentric(
                features, targets, targets, potential=found.g, weight=b, epsilon=eps
            )
            return matmul((a[:, None] * x).T, means[:, 1:]), (found.f, found.g)

        start = jnp.zeros((x.shape[1], y.shape[1]), x.dtype)
        coupling, _ = jax.lax.scan(step, start, None, length=num_steps - 1)
        last, potentials = step(coupling, None)
        del last
        params = GromovWasserstein(
            (mean_x, mean_y), (x, y), (a, b), coupling, potentials, eps, jnp.zeros_like(eps)
        )
        return params._replace(value=_value(params, alpha))

    def apply(params: GromovWasserstein, x: Float[ArrayLike, "*batch dx"]) -> Array:
        x = check_width("gromov_wasserstein", "x", x, params.means[0].shape[0])
        x = x.astype(params.means[0].dtype) - params.means[0]
        return _apply(params, x, alpha) + params.means[1]

    def inverse(params: GromovWasserstein, y: Float[ArrayLike, "*batch dy"]) -> Array:
        y = check_width("gromov_wasserstein", "y", y, params.means[1].shape[0])
        features = features_of(params.points[0], params.coupling, alpha)
        back = barycentric(
            _targets(y.astype(params.means[1].dtype) - params.means[1]),
            features,
            params.points[0],
            potential=params.potentials[0],
            weight=params.weights[0],
            epsilon=params.epsilon,
        )
        return back + params.means[0]

    return Transform(fit=fit, apply=apply, inverse=inverse)


def features_of(
    x: Float[Array, "*batch dx"], coupling: Float[Array, "dx dy"], alpha: float
) -> Float[Array, "*batch dy+1"]:
    """p(x) with 2⟨p(x), [‖y‖², y]⟩ the negative cost, for centred rows."""
    linear = 8 * alpha * coupling
    if alpha < 1:
        linear = linear + (1 - alpha) * jnp.eye(*coupling.shape, dtype=coupling.dtype)
    squares = 2 * alpha * jnp.sum(x * x, axis=-1, keepdims=True)
    return jnp.concatenate([squares, jnp.matmul(x, linear, precision="highest")], axis=-1)


def _targets(y: Float[Array, "*batch dy"]) -> Float[Array, "*batch dy+1"]:
    return jnp.concatenate([jnp.sum(y * y, axis=-1, keepdims=True), y], axis=-1)


def _apply(params: GromovWasserstein, x: Array, alpha: float) -> Array:
    """Means of the centred y given centred x."""
    return barycentric(
        features_of(x, params.coupling, alpha),
        _targets(params.points[1]),
        params.points[1],
        potential=params.potentials[1],
        weight=params.weights[1],
        epsilon=params.epsilon,
    )


def _value(params: GromovWasserstein, alpha: float) -> Float[Array, ""]:
    """α GW + (1 − α) W of the plan: for centred rows and squared distances, few moments of it."""
    (x, y), (a, b) = params.points, params.weights
    u, v = jnp.sum(x * x, axis=1), jnp.sum(y * y, axis=1)
    means = barycentric(
        features_of(x, params.coupling, alpha),
        _targets(y),
        _targets(y),
        potential=params.potentials[1],
        weight=b,
        epsilon=params.epsilon,
    )
    cross = matmul((a[:, None] * x).T, means[:, 1:])
    s_x, s_y = matmul((a[:, None] * x).T, x), matmul((b[:, None] * y).T, y)
    fourth = a @ (u * u) + b @ (v * v) - 2 * (a @ (u * means[:, 0]))
    squares = jnp.sum(s_x**2) + jnp.sum(s_y**2) - 2 * jnp.sum(cross**2)
    value = alpha * (2 * fourth + 2 * (a @ u - b @ v) ** 2 + 4 * squares)
    if alpha < 1:
        value = value + (1 - alpha) * (a @ u + b @ v - 2 * jnp.trace(cross))
    # Exact for exact marginals; the last digits of others may leave it below 0.
    return jnp.maximum(value, 0)
