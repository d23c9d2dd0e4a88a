"""From a network and a loss to a transform."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_both_sides, check_where, check_width
from crossmodal_jax._typing import ArrayLike, PyTree
from crossmodal_jax.learned._engine import INIT, Options, check_options, descend, widen
from crossmodal_jax.learned._scale import Scale, fit_scale, restore, standardise
from crossmodal_jax.transforms import Transform


class Learned(NamedTuple):
    """Parameters of a learned transform.

    Attributes:
      scale_x: Mean and standard deviation of the columns of x, shapes [dx].
      scale_y: Mean and standard deviation of the columns of y, shapes [dy].
      weights: What was trained, a pytree of arrays.
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
      losses: The loss of each step before it was taken, shape [num_steps].
    """

    scale_x: Scale
    scale_y: Scale
    weights: PyTree
    residual: Float[Array, "dy dy"]
    losses: Float[Array, "num_steps"]


class Batch(NamedTuple):
    """What a loss of `learn` sees of the rows, in units of their standard deviation.

    Attributes:
      x: Standardised rows of x, shape [b, dx].
      y: The standardised rows of y that belong to them, shape [b, dy].
    """

    x: Float[Array, "b dx"]
    y: Float[Array, "b dy"]


def learn(
    init: Callable[[Array, int, int], PyTree],
    apply: Callable[[PyTree, Array], Array],
    *,
    loss: Callable[[PyTree, Batch, Array], Float[Array, ""]] | None = None,
    inverse: Callable[[PyTree, Array], Array] | None = None,
    tx: optax.GradientTransformation | None = None,
    num_steps: int = 1000,
    batch_size: int = 128,
    seed: Int[ArrayLike, ""] | int = 0,
    name: str = "learn",
) -> Transform:
    """A transform with weights that gradient descent finds, of the same interface as all others.

    T(x) = ȳ + s_y ⊙ apply(weights, (x − x̄) / s_x): `init`, `apply`, `inverse` and `loss` see both
    sides in units of the standard deviation of their columns over the kept rows, so that one
    learning rate serves every unit.

    `fit` is one traceable program, a scan over `num_steps` steps of `training.make_train_step`:
    map it over folds by `jax.vmap` and over seeds by making the transform inside of it, and wrap
    it in `jax.jit`, else it compiles at every call. A step that is not finite is skipped. Batches
    go through one random order of the kept rows again and again; a dropped row is never drawn.

    Args:
      init: `init(key, dx, dy) -> weights`, a pytree of floating-point arrays, for instance an NNX
        module. They are trained in the dtype of the data, float32 at least.
      apply: `apply(weights, x) -> y` for standardised x [*batch, dx].
      loss: `loss(weights, batch, key) -> []` with a `Batch`; None is the mean square of
        y − apply(weights, x).
      inverse: `inverse(weights, y) -> x` for standardised y [*batch, dy]; None if there is none.
      tx: The optimiser; None is Adam whose learning rate falls from 3e-3 to 0 by half a cosine.
      num_steps: Number of steps. With 0 the weights are those of `init`.
      batch_size: Number of rows of a batch.
      seed: Of weights, order of rows and steps; may be traced, and mapped by `jax.vmap`.
      name: What errors call the transform.

    Returns:
      A `transforms.Transform` with parameters `Learned`. `fit` takes x [n, dx] and y [n, dy],
      `apply` x [*batch, dx], `inverse` y [*batch, dy]; `solve` is None.

    Raises:
      ValueError: If a number is out of range; from `fit` if y is missing or the rows differ, from
        `apply` and `inverse` if a width is not as fitted.

    Examples:
      >>> import jax, jax.numpy as jnp, optax
      >>> t = learn(
      ...     lambda key, dx, dy: jnp.zeros((dx, dy)),
      ...     lambda kernel, x: x @ kernel,
      ...     tx=optax.sgd(0.5),
      ...     num_steps=50,
      ... )
      >>> x = jnp.array([[0.0], [1.0], [2.0]])
      >>> params = jax.jit(t.fit)(x, 3 * x + 1)
      >>> print(jnp.rint(t.apply(params, jnp.array([[10.0]]))))
      [[31.]]
    """
    options = Options(tx, num_steps, batch_size, seed)
    check_options(name, options)
    objective = squared_error(apply) if loss is None else loss

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> Learned:
        x, y, keep = kept_pairs(name, x, y, where)
        scale_x, scale_y = fit_scale(x, keep), fit_scale(y, keep)
        rows = Batch(standardise(scale_x, x), standardise(scale_y, y))
        weights = widen(init(options.key(INIT), x.shape[1], y.shape[1]), x.dtype)
        weights, losses = descend(objective, weights, rows, keep, options)
        error = y - restore(scale_y, apply(weights, rows.x))
        return Learned(scale_x, scale_y, weights, covariance_of(error, keep), losses)

    def apply_fitted(
        params: Learned, x: Float[ArrayLike, "*batch dx"]
    ) -> Float[Array, "*batch dy"]:
        x = standardise(params.scale_x, check_width(name, "x", x, params.scale_x.mean.shape[0]))
        return restore(params.scale_y, apply(params.weights, x))

    if inverse is None:
        return Transform(fit, apply_fitted)

    def invert_fitted(
        params: Learned, y: Float[ArrayLike, "*batch dy"]
    ) -> Float[Array, "*batch dx"]:
        y = standardise(params.scale_y, check_width(name, "y", y, params.scale_y.mean.shape[0]))
        return restore(params.scale_x, inverse(params.weights, y))

    return Transform(fit, apply_fitted, invert_fitted)


def squared_error(
    apply: Callable[[PyTree, Array], Array],
) -> Callable[[PyTree, Batch, Array], Float[Array, ""]]:
    """The loss mean (y − apply(weights, x))²."""

    def loss(weights: PyTree, batch: Batch, key: Array) -> Float[Array, ""]:
        del key  # of the common interface; nothing is drawn
        return jnp.mean(jnp.square(batch.y - apply(weights, batch.x)))

    return loss


def kept_pairs(
    name: str, x: ArrayLike, y: ArrayLike | None, where: ArrayLike | None
) -> tuple[Array, Array, Bool[Array, "n"]]:
    """Pairs of one dtype, float32 at least, dropped rows zero; and which rows are kept."""
    x, y = check_both_sides(name, x, y)
    keep = check_where(name, where, x.shape[:1])
    dtype = np.promote_types(np.promote_types(x.dtype, y.dtype), np.float32)
    x, y = (numerics.zero_absent(z, keep).astype(dtype) for z in (x, y))
    return x, y, keep


def covariance_of(error: Float[Array, "n d"], keep: Bool[Array, "n"]) -> Float[Array, "d d"]:
    """Covariance of the kept rows of the residuals."""
    return numerics.covariance(numerics.moments((error,), where=keep), 0, 0)
