"""Regression by a network: alone, or on what a closed form leaves."""

from typing import NamedTuple

import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import nn, transforms
from crossmodal_jax._typing import ArrayLike, PyTree
from crossmodal_jax.learned._learn import Learned, kept_pairs, learn
from crossmodal_jax.transforms import Transform


class Residual(NamedTuple):
    """Parameters of `residual`.

    Attributes:
      base: Parameters of the closed form.
      correction: Parameters of the network that predicts what the closed form leaves.
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
    """

    base: PyTree
    correction: Learned
    residual: Float[Array, "dy dy"]


def mlp(
    *,
    hidden: int = 64,
    depth: int = 2,
    tx: optax.GradientTransformation | None = None,
    num_steps: int = 1000,
    batch_size: int = 128,
    seed: Int[ArrayLike, ""] | int = 0,
) -> Transform:
    """Regression by a network of dense layers.

    T(x) = ȳ + s_y ⊙ f((x − x̄) / s_x) with f an `nn.MLP` that minimises the mean squared error in
    units of the standard deviations s of the columns. `learn` says how it is trained. Nothing but
    the number of steps keeps it from learning the noise: choose it on rows held out.

    Args:
      hidden: Width of the hidden layers.
      depth: Number of hidden layers, at least 1.
      tx: As for `learn`.
      num_steps: Number of steps.
      batch_size: Number of rows of a batch.
      seed: As for `learn`; may be traced.

    Returns:
      A `transforms.Transform` with parameters `Learned`; it has no inverse. `fit` takes x [n, dx]
      and y [n, dy], `apply` x [*batch, dx].

    Raises:
      ValueError: If a number is out of range; from `fit` and `apply` as for `learn`.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.linspace(-3.0, 3.0, 100)[:, None]
      >>> t = mlp(hidden=16, num_steps=1000)
      >>> params = jax.jit(t.fit)(x, jnp.sin(2 * x))
      >>> print(params.residual[0, 0] < 0.01)
      True
    """

    def init(key: Array, dx: int, dy: int) -> nn.MLP:
        return nn.MLP(dx, hidden, dy, depth=depth, rngs=nnx.Rngs(key))

    return learn(
        init,
        forward,
        tx=tx,
        num_steps=num_steps,
        batch_size=batch_size,
        seed=seed,
        name="mlp",
    )


def residual(
    *,
    base: Transform | None = None,
    hidden: int = 64,
    depth: int = 2,
    tx: optax.GradientTransformation | None = None,
    num_steps: int = 1000,
    batch_size: int = 128,
    seed: Int[ArrayLike, ""] | int = 0,
) -> Transform:
    """A closed form first, then a network on what it leaves.

    T(x) = B(x) + f(x), where B is fitted in closed form and stays as it is, and f is an `mlp` that
    predicts y − B(x) from a last layer of zeros. Before the first step T is B; what the network
    adds, the losses of the correction show.

    Args:
      base: The transform B, which predicts y; None is `transforms.ridge()`.
      hidden: Width of the hidden layers.
      depth: Number of hidden layers, at least 1.
      tx: As for `learn`.
      num_steps: Number of steps. With 0 the transform is B.
      batch_size: Number of rows of a batch.
      seed: As for `learn`; may be traced.

    Returns:
      A `transforms.Transform` with parameters `Residual`; it has no inverse. `fit` takes x [n, dx]
      and y [n, dy], `apply` x [*batch, dx].

    Raises:
      ValueError: If a number is out of range; from `fit` and `apply` as for `learn` and the base.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from crossmodal_jax import transforms
      >>> x = jnp.linspace(-3.0, 3.0, 100)[:, None]
      >>> y = x + jnp.sin(2 * x)
      >>> params = jax.jit(residual(hidden=16, num_steps=1000).fit)(x, y)
      >>> print(params.residual[0, 0] < 0.05 * transforms.ridge().fit(x, y).residual[0, 0])
      True
    """
    base = transforms.ridge() if base is None else base

    def init(key: Array, dx: int, dy: int) -> nn.MLP:
        return nn.MLP(dx, hidden, dy, depth=depth, zero_last=True, rngs=nnx.Rngs(key))

    correction = learn(
        init,
        forward,
        tx=tx,
        num_steps=num_steps,
        batch_size=batch_size,
        seed=seed,
        name="residual",
    )

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> Residual:
        x, y, keep = kept_pairs("residual", x, y, where)
        start = base.fit(x, y, keep)
        found = correction.fit(x, y - base.apply(start, x), keep)
        return Residual(start, found, found.residual)

    def apply(params: Residual, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
        # The correction first: its error about a wrong width is in the words of this function.
        change = correction.apply(params.correction, x)
        return base.apply(params.base, x) + change

    return Transform(fit, apply)


def forward(network: nn.MLP, x: Float[Array, "*batch d"]) -> Float[Array, "*batch k"]:
    """The network as a function of its weights."""
    return network(x)
