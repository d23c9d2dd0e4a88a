"""Two regressions that are to undo each other."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from crossmodal_jax import nn
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.learned._learn import Batch, learn
from crossmodal_jax.transforms import Transform


class BothWays(NamedTuple):
    """Weights of `cycle_consistent`.

    Attributes:
      forth: The network from standardised x [*batch, dx] to y [*batch, dy].
      back: The network from standardised y to x.
    """

    forth: nn.MLP
    back: nn.MLP


def cycle_consistent(
    *,
    cycle: Float[ArrayLike, ""] | float = 0.5,
    hidden: int = 64,
    depth: int = 2,
    tx: optax.GradientTransformation | None = None,
    num_steps: int = 1000,
    batch_size: int = 128,
    seed: Int[ArrayLike, ""] | int = 0,
) -> Transform:
    """Regression from x to y and from y to x, each to be undone by the other.

    With networks f and g in standardised units, mse the mean of squares over rows and columns and
    c = `cycle`, the loss is
    mse(f(x) − y) + mse(g(y) − x) + c · (mse(g(f(x)) − x) + mse(f(g(y)) − y)).
    `apply` is f and `inverse` is g: a regression of its own, which undoes `apply` as far as the
    data let it. With c = 0 the two are trained apart, and f is that of `mlp`.

    Args:
      cycle: Weight c ≥ 0 of the cycles; may be traced.
      hidden: Width of the hidden layers.
      depth: Number of hidden layers of each network, at least 1.
      tx: As for `learn`.
      num_steps: Number of steps.
      batch_size: Number of rows of a batch.
      seed: As for `learn`; may be traced.

    Returns:
      A `transforms.Transform` with parameters `Learned`, whose weights are `BothWays`. `fit` takes
      x [n, dx] and y [n, dy], `apply` x [*batch, dx], `inverse` y [*batch, dy].

    Raises:
      ValueError: If a number is out of range; from `fit`, `apply` and `inverse` as for `learn`.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.linspace(-1.0, 1.0, 50)[:, None]
      >>> t = cycle_consistent(hidden=16, num_steps=300)
      >>> params = jax.jit(t.fit)(x, x**3 + x)
      >>> print(jnp.abs(t.inverse(params, t.apply(params, x)) - x).mean() < 0.1)
      True

    References:
      Pham et al., `Found in Translation: Learning Robust Joint Representations by Cyclic
      Translations Between Modalities <https://arxiv.org/abs/1812.07809>`_, 2019, for the cycle.
    """

    def init(key: Array, dx: int, dy: int) -> BothWays:
        # The key of `forth` is that of `mlp`, which makes one the special case of the other.
        def network(key: Array, d_in: int, d_out: int) -> nn.MLP:
            return nn.MLP(d_in, hidden, d_out, depth=depth, rngs=nnx.Rngs(key))

        return BothWays(network(key, dx, dy), network(jax.random.fold_in(key, 1), dy, dx))

    def loss(weights: BothWays, batch: Batch, key: Array) -> Float[Array, ""]:
        del key  # nothing is drawn
        forth, back = weights
        y, x = forth(batch.x), back(batch.y)
        weight = jnp.asarray(cycle, y.dtype)
        cycles = _mean_square(back(y) - batch.x) + _mean_square(forth(x) - batch.y)
        return _mean_square(y - batch.y) + _mean_square(x - batch.x) + weight * cycles

    return learn(
        init,
        lambda weights, x: weights.forth(x),
        loss=loss,
        inverse=lambda weights, y: weights.back(y),
        tx=tx,
        num_steps=num_steps,
        batch_size=batch_size,
        seed=seed,
        name="cycle_consistent",
    )


def _mean_square(error: Float[Array, "b d"]) -> Float[Array, ""]:
    return jnp.mean(jnp.square(error))
