"""Invertible regression by a coupling flow."""

import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from crossmodal_jax import nn
from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.learned._learn import Learned, learn
from crossmodal_jax.learned._scale import standardise
from crossmodal_jax.transforms import Transform


def coupling_flow(
    *,
    hidden: int = 64,
    depth: int = 1,
    num_layers: int = 6,
    tx: optax.GradientTransformation | None = None,
    num_steps: int = 1000,
    batch_size: int = 128,
    seed: Int[ArrayLike, ""] | int = 0,
) -> Transform:
    """Regression by a map that has an exact inverse.

    T(x) = ȳ + s_y ⊙ f((x − x̄) / s_x) with f an `nn.CouplingFlow`, affine coupling layers as of
    RealNVP. What is minimised is the squared error of pairs, in units of the standard deviations s
    of the columns; it is no maximum likelihood, though `flow_log_determinant` gives the term that
    a density would need. Before the first step T only matches the moments of each column.

    Both sides must have one width, of at least 2: reduce the wider one by `transforms.pca` first.
    Where y does not determine x, no invertible map fits well, and `mlp` does better.

    Args:
      hidden: Width of the hidden layers.
      depth: Number of hidden layers of the network of each coupling layer.
      num_layers: Number of coupling layers.
      tx: As for `learn`.
      num_steps: Number of steps.
      batch_size: Number of rows of a batch.
      seed: As for `learn`; may be traced.

    Returns:
      A `transforms.Transform` with parameters `Learned`. `fit` takes x and y [n, d], `apply`
      x [*batch, d], `inverse` y [*batch, d].

    Raises:
      ValueError: If a number is out of range; from `fit` if the widths differ or are below 2, and
        as for `learn`.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jax.random.normal(jax.random.key(0), (50, 2))
      >>> t = coupling_flow(hidden=8, num_steps=20)
      >>> params = jax.jit(t.fit)(x, x[:, ::-1] ** 3)
      >>> print(jnp.allclose(t.inverse(params, t.apply(params, x)), x, atol=1e-5))
      True

    References:
      Dinh, Sohl-Dickstein and Bengio, `Density estimation using Real NVP
      <https://arxiv.org/abs/1605.08803>`_, 2017.
    """

    def init(key: Array, dx: int, dy: int) -> nn.CouplingFlow:
        check_square("coupling_flow", dx, dy)
        return nn.CouplingFlow(dx, hidden, num_layers=num_layers, depth=depth, rngs=nnx.Rngs(key))

    return learn(
        init,
        lambda flow, x: flow(x)[0],
        inverse=lambda flow, y: flow.inverse(y),
        tx=tx,
        num_steps=num_steps,
        batch_size=batch_size,
        seed=seed,
        name="coupling_flow",
    )


def flow_log_determinant(
    params: Learned, x: Float[ArrayLike, "*batch d"]
) -> Float[Array, "*batch"]:
    """log |det dT/dx| of a fitted `coupling_flow`, in the units of the data.

    Args:
      params: What the `fit` of `coupling_flow` returned.
      x: Rows, shape [*batch, d].

    Returns:
      The logarithm at each row, shape [*batch].

    Raises:
      ValueError: If the width is not as fitted.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
      >>> params = coupling_flow(num_steps=0).fit(x, 10 * x)
      >>> print(jnp.exp(flow_log_determinant(params, x[0])).round(2))
      100.0
    """
    x = check_width("flow_log_determinant", "x", x, params.scale_x.mean.shape[0])
    inner = params.weights(standardise(params.scale_x, x))[1]
    ratio = jnp.log(params.scale_y.std) - jnp.log(params.scale_x.std)
    return inner + jnp.sum(ratio).astype(inner.dtype)


def check_square(name: str, dx: int, dy: int) -> None:
    """Raises unless both sides have one width."""
    if dx != dy:
        raise ValueError(
            f"{name}: both sides must have one width, got dx={dx} and dy={dy}; reduce the wider "
            f"one by transforms.pca(dim={min(dx, dy)})."
        )
