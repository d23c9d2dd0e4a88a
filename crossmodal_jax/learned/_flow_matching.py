"""Transport along straight lines: a velocity field that is learned, and its flow."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from crossmodal_jax import nn
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.learned._coupling import check_square
from crossmodal_jax.learned._learn import Batch, learn
from crossmodal_jax.transforms import Transform


class Velocity(NamedTuple):
    """Weights of `flow_matching`.

    Attributes:
      network: The network from a point and a time, [*batch, d + 1], to a velocity [*batch, d].
    """

    network: nn.MLP


def flow_matching(
    *,
    hidden: int = 64,
    depth: int = 2,
    num_integration_steps: int = 16,
    tx: optax.GradientTransformation | None = None,
    num_steps: int = 1000,
    batch_size: int = 128,
    seed: Int[ArrayLike, ""] | int = 0,
) -> Transform:
    """The flow of a velocity field that carries x to y along straight lines.

    In units of standard deviations, a network v is trained on pairs to minimise the mean square of
    v(zₜ, t) − (y − x) at zₜ = (1 − t) x + t y, with one time for each row of a batch, evenly spread
    over [0, 1) from a random start. T(x) is z₁ of the solution of dz/dt = v(z, t) from z₀ = x, by
    `num_integration_steps` steps of the classical Runge-Kutta method; `inverse` goes from t = 1 to
    0 and so undoes it up to the error of the steps, of fourth order in their length.

    T carries the distribution of x to that of y. It goes from x to its own y where the lines of
    different pairs do not cross, as for a map that is the gradient of a convex function; where
    they do, the velocity is a mean over the pairs that meet there, and a regression such as `mlp`
    predicts y better. Noise in y is kept, not averaged away. Both sides must have one width.

    Args:
      hidden: Width of the hidden layers.
      depth: Number of hidden layers, at least 1.
      num_integration_steps: Number of steps of the solver, each four evaluations of v.
      tx: As for `learn`.
      num_steps: Number of steps of the training.
      batch_size: Number of rows of a batch.
      seed: As for `learn`; may be traced.

    Returns:
      A `transforms.Transform` with parameters `Learned`, whose weights are `Velocity`. `fit` takes
      x and y [n, d], `apply` x [*batch, d], `inverse` y [*batch, d].

    Raises:
      ValueError: If a number is out of range; from `fit` if the widths differ, and as for `learn`.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jax.random.normal(jax.random.key(0), (200, 1))
      >>> t = flow_matching(hidden=16, num_steps=300)
      >>> params = jax.jit(t.fit)(x, x + x**3)
      >>> print(jnp.allclose(t.inverse(params, t.apply(params, x)), x, atol=1e-2))
      True

    References:
      Lipman et al., `Flow Matching for Generative Modeling <https://arxiv.org/abs/2210.02747>`_,
      2023. Tong et al., `Improving and generalizing flow-based generative models with minibatch
      optimal transport <https://arxiv.org/abs/2302.00482>`_, 2023, for pairs as the ends.
    """
    if num_integration_steps < 1:
        raise ValueError(
            "flow_matching: `num_integration_steps` must be at least 1, got "
            f"{num_integration_steps}; leave it out for the default."
        )

    def init(key: Array, dx: int, dy: int) -> Velocity:
        check_square("flow_matching", dx, dy)
        # A last layer of zeros: the flow starts as the identity.
        rngs = nnx.Rngs(key)
        return Velocity(nn.MLP(dx + 1, hidden, dx, depth=depth, zero_last=True, rngs=rngs))

    def loss(weights: Velocity, batch: Batch, key: Array) -> Float[Array, ""]:
        x, y = batch
        num = x.shape[0]
        spread = jnp.arange(num, dtype=x.dtype) / num
        times = (jax.random.uniform(key, (), x.dtype) + spread) % 1
        t = times[:, None]
        return jnp.mean(jnp.square(_velocity(weights, (1 - t) * x + t * y, times) - (y - x)))

    return learn(
        init,
        lambda weights, x: _integrate(weights, x, 0.0, 1.0, num_integration_steps),
        loss=loss,
        inverse=lambda weights, y: _integrate(weights, y, 1.0, 0.0, num_integration_steps),
        tx=tx,
        num_steps=num_steps,
        batch_size=batch_size,
        seed=seed,
        name="flow_matching",
    )


def _velocity(
    weights: Velocity, z: Float[Array, "*batch d"], times: Float[Array, "*batch"]
) -> Float[Array, "*batch d"]:
    return weights.network(jnp.concatenate([z, times[..., None]], axis=-1))


def _integrate(
    weights: Velocity, z: Float[Array, "*batch d"], start: float, end: float, num_steps: int
) -> Float[Array, "*batch d"]:
    """The solution at `end` that is z at `start`, by the classical Runge-Kutta method."""
    length = (end - start) / num_steps

    def slope(z: Array, time: Array) -> Array:
        return _velocity(weights, z, jnp.broadcast_to(time, z.shape[:-1]))

    def step(z: Array, i: Array) -> tuple[Array, None]:
        time = jnp.asarray(start, z.dtype) + i.astype(z.dtype) * length
        middle = time + length / 2
        k1 = slope(z, time)
        k2 = slope(z + length / 2 * k1, middle)
        k3 = slope(z + length / 2 * k2, middle)
        k4 = slope(z + length * k3, time + length)
        return z + length / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    return jax.lax.scan(step, z, jnp.arange(num_steps, dtype=jnp.int32))[0]
