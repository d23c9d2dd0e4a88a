"""Alignment and uniformity: the two halves of what a contrastive loss does on the sphere."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import kernels, numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._rows import near_origin, paired_rows, squared_distances, symmetric


def alignment_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    power: float = 2.0,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, "n"]:
    """Distance between the two sides of a pair, ‖xᵢ − yᵢ‖^power, one value per pair.

    Where xᵢ = yᵢ the gradient is taken as 0, whatever the power. Inputs are used as given:
    normalise first.

    Args:
      x: Embeddings of the first modality, shape [n, d].
      y: Embeddings of the second modality, shape [n, d]; row i is the match of `x[i]`.
      power: The exponent α > 0.
      where: Pairs to keep, shape [n].

    Returns:
      Loss per pair, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], `where` does not fit them, or
        `power` is not positive.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x, y = jnp.array([[3.0, 0.0], [1.0, 1.0]]), jnp.array([[0.0, 4.0], [1.0, 1.0]])
      >>> print(alignment_loss(x, y), alignment_loss(x, y, power=1.0))
      [25.  0.] [5. 0.]

    References:
      Wang and Isola, `Understanding Contrastive Representation Learning through Alignment and
      Uniformity on the Hypersphere <https://arxiv.org/abs/2005.10242>`_, 2020, section 4.1.
    """
    if power <= 0:
        raise ValueError(
            f"alignment_loss: `power` must be positive, got {power}; the paper takes 2."
        )
    (x, y), _ = paired_rows("alignment_loss", {"x": x, "y": y}, where)
    if power == 2:
        # Unlike a norm, this has a second derivative at 0.
        return jnp.sum(jnp.square(x - y), axis=1)
    distance = numerics.safe_norm(x - y)
    apart = distance > 0
    return jnp.where(apart, jnp.where(apart, distance, 1) ** power, 0)


def uniformity_loss(
    x: Float[ArrayLike, "n d"],
    *,
    scale: Float[ArrayLike, ""] | float = 2.0,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, ""]:
    """How far rows are from evenly spread: log mean exp(−t‖xᵢ − xⱼ‖²), one scalar.

    The mean is over the pairs i ≠ j of different rows. Minimised on the sphere it spreads the
    rows; for two modalities take the mean of the losses of both. Inputs are used as given:
    normalise first.

    Slabs of rows are compared with all others and computed again for the gradient, so that
    memory grows linearly with n for both.

    Args:
      x: Embeddings, shape [n, d].
      scale: The scale t > 0; may be traced.
      where: Rows to keep, shape [n].

    Returns:
      The loss, a scalar, float32 or float64; 0 with fewer than two rows.

    Raises:
      ValueError: If `x` is not a matrix, or `where` does not fit it.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(uniformity_loss(jnp.array([[1.0, 0.0], [-1.0, 0.0]]), scale=2.0))
      -8.0

    References:
      Wang and Isola, `Understanding Contrastive Representation Learning through Alignment and
      Uniformity on the Hypersphere <https://arxiv.org/abs/2005.10242>`_, 2020, section 4.1.
    """
    (x,), keep = paired_rows("uniformity_loss", {"x": x}, where)
    (x,) = near_origin((x, keep))
    total = symmetric(_log_sum, x, keep, jnp.asarray(scale, x.dtype))
    count = jnp.sum(keep, dtype=x.dtype)
    pairs = jnp.maximum(count, 2) * (jnp.maximum(count, 2) - 1)
    return jnp.where(count > 1, total - jnp.log(pairs), 0)


def _log_sum(
    rows: Float[Array, "n d"], columns: Float[Array, "n d"], keep: Bool[Array, "n"], scale: Array
) -> Float[Array, ""]:
    """log Σ exp(−t‖xᵢ − xⱼ‖²) over pairs of different kept rows."""
    index = jnp.arange(columns.shape[0])

    def of_rows(part: tuple[Array, Array]) -> tuple[Array, None]:
        others = keep & (part[1][:, None] != index)
        logits = -scale * squared_distances(part[0], columns)
        return numerics.masked_logsumexp(logits, others, axis=1), None

    log_sums, _ = kernels.by_rows(of_rows, (rows, index), num_columns=len(index))
    return numerics.masked_logsumexp(log_sums, keep)
