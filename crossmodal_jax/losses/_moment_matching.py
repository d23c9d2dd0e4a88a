"""Losses that match the moments of two sets of rows without pairs."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._rows import centred, matmul, unpaired_rows


def coral_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    where: Bool[ArrayLike, "n"] | None = None,
    where_y: Bool[ArrayLike, "m"] | None = None,
) -> Float[Array, ""]:
    """CORAL: distance of the covariances of two sets of rows without pairs, one scalar.

    It is ‖S_x − S_y‖²_F / (4d²) with covariances divided by n − 1 and m − 1; means play no part.

    Args:
      x: Rows of the first set, shape [n, d].
      y: Rows of the second set, shape [m, d]; they need not correspond to those of x.
      where: Rows of x to keep, shape [n].
      where_y: Rows of y to keep, shape [m].

    Returns:
      The loss, a scalar, float32 or float64. The covariance of a single row is 0; the loss is 0
      if nothing is kept of a set.

    Raises:
      ValueError: If x and y are not matrices of one width, or a mask does not fit them.
      TypeError: If a mask is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x, y = jnp.array([[0.0], [2.0]]), jnp.array([[5.0], [5.0], [5.0]])
      >>> print(coral_loss(x, y), coral_loss(x, x + 7))
      1.0 0.0

    References:
      Sun and Saenko, `Deep CORAL: Correlation Alignment for Deep Domain Adaptation
      <https://arxiv.org/abs/1607.01719>`_, 2016, Eq. 1.
    """
    x, y, keep_x, keep_y = unpaired_rows("coral_loss", x, y, where, where_y)
    difference = _covariance(x, keep_x) - _covariance(y, keep_y)
    loss = jnp.sum(difference * difference) / (4 * x.shape[1] ** 2)
    return jnp.where(jnp.any(keep_x) & jnp.any(keep_y), loss, 0)


def cmd_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "m d"],
    *,
    num_moments: int = 5,
    bounds: tuple[float, float] = (0.0, 1.0),
    where: Bool[ArrayLike, "n"] | None = None,
    where_y: Bool[ArrayLike, "m"] | None = None,
) -> Float[Array, ""]:
    """Central moment discrepancy (CMD) of two sets of rows without pairs, one scalar.

    It is Σₖ ‖cₖ(x) − cₖ(y)‖ / (b − a)ᵏ for k = 1 … K: c₁ is the mean of the rows and
    cₖ = mean (x − c₁)ᵏ, unit by unit, their k-th central moment. Where two moments are equal
    the gradient of their distance is taken as 0.

    Args:
      x: Rows of the first set, shape [n, d].
      y: Rows of the second set, shape [m, d]; they need not correspond to those of x.
      num_moments: How many moments K are compared, at least 1.
      bounds: The interval (a, b) of the activations: (0, 1) for a sigmoid, (−1, 1) for tanh. It
        only sets the weights; nothing is clipped.
      where: Rows of x to keep, shape [n].
      where_y: Rows of y to keep, shape [m].

    Returns:
      The loss, a scalar, float32 or float64; 0 if nothing is kept of a set.

    Raises:
      ValueError: If x and y are not matrices of one width, a mask does not fit them,
        `num_moments` is below 1, or `bounds` is not an interval.
      TypeError: If a mask is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([[0.5], [0.5], [1.0], [1.0]])
      >>> print(cmd_loss(x, y, num_moments=2))  # ¼ of the means, ¼ − 1/16 of the variances
      0.4375

    References:
      Zellinger et al., `Central Moment Discrepancy (CMD) for Domain-Invariant Representation
      Learning <https://arxiv.org/abs/1702.08811>`_, 2017.
    """
    if num_moments < 1:
        raise ValueError(
            f"cmd_loss: `num_moments` must be at least 1, got {num_moments}; 1 compares means only."
        )
    if bounds[1] <= bounds[0]:
        raise ValueError(
            f"cmd_loss: `bounds` must be an interval (a, b) with a < b, got {bounds}; "
            "give the range of the activations."
        )
    x, y, keep_x, keep_y = unpaired_rows("cmd_loss", x, y, where, where_y)
    length = bounds[1] - bounds[0]

    def distance(x: Array, y: Array) -> Float[Array, ""]:
        mean_x = numerics.masked_mean(x, keep_x[:, None], axis=0)
        return numerics.safe_norm(mean_x - numerics.masked_mean(y, keep_y[:, None], axis=0))

    loss = distance(x, y) / length
    x, y = centred(x, keep_x), centred(y, keep_y)
    power_x, power_y = x, y
    for k in range(2, num_moments + 1):
        power_x, power_y = power_x * x, power_y * y
        loss += distance(power_x, power_y) / length**k
    return jnp.where(jnp.any(keep_x) & jnp.any(keep_y), loss, 0)


def _covariance(x: Float[Array, "n d"], keep: Bool[Array, "n"]) -> Float[Array, "d d"]:
    # Divided before they are multiplied, so that sums over many rows stay small.
    x = centred(x, keep) / jnp.sqrt(jnp.maximum(jnp.sum(keep, dtype=x.dtype) - 1, 1))
    return matmul(x.T, x)
