"""The hinge loss of ranking: a match scores above the rest by a margin."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import kernels, numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._pairs import scores
from crossmodal_jax.losses._rows import paired_rows


def hinge_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    margin: Float[ArrayLike, ""] | float = 0.2,
    hardest: bool = False,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, "n"]:
    """Hinge loss of ranking in both directions (VSE, VSE++), one value per pair.

    With sᵢⱼ = ⟨xᵢ, yⱼ⟩ and margin α the loss of pair i is
    Σ_{j≠i} max(α − sᵢᵢ + sᵢⱼ, 0) + Σ_{j≠i} max(α − sᵢᵢ + sⱼᵢ, 0). With `hardest` the largest term
    of each sum stands in its place, as in VSE++, whose code adds up the pairs and takes no mean.
    Inputs are used as given: normalise first.

    Memory is linear in n, for the gradient too. That of the hardest negative takes no second look
    at the scores; of several equal ones the first has the gradient.

    Args:
      x: Embeddings of the first modality, shape [n, d].
      y: Embeddings of the second modality; row i is the match of `x[i]`.
      margin: The margin α; may be traced.
      hardest: Whether only the negative with the highest score counts, in each direction.
      where: Pairs to keep, shape [n]. A dropped pair is no anchor *and* no negative.

    Returns:
      Loss per pair, shape [n], float32 or float64; 0 where dropped, or without a negative.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], or `where` does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.eye(3)
      >>> print(hinge_loss(x, jnp.flip(x, axis=0), margin=0.5))
      [4. 0. 4.]
      >>> print(hinge_loss(x, jnp.flip(x, axis=0), margin=0.5, hardest=True))
      [3. 0. 3.]

    References:
      Faghri et al., `VSE++: Improving Visual-Semantic Embeddings with Hard Negatives
      <https://arxiv.org/abs/1707.05612>`_, 2018, Eq. 5 and 6.
    """
    (x, y), keep = paired_rows("hinge_loss", {"x": x, "y": y}, where)
    margin = jnp.asarray(margin, x.dtype)
    loss = (_hardest_hinges if hardest else _sums_of_hinges)(x, y, keep, margin)
    return numerics.zero_absent(loss, keep)


def _sums_of_hinges(x: Array, y: Array, keep: Array, margin: Array) -> Float[Array, "n"]:
    index = jnp.arange(x.shape[0])
    match = jnp.sum(x * y, axis=1)

    def of_rows(rows: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
        x, own_match, own_keep, own = rows
        z = margin + scores(x, y)
        negative = own_keep[:, None] & keep & (own[:, None] != index)
        of_x = jnp.where(negative, jax.nn.relu(z - own_match[:, None]), 0)
        of_y = jnp.where(negative, jax.nn.relu(z - match), 0)
        return jnp.sum(of_x, axis=1), jnp.sum(of_y, axis=0)

    of_x, of_y = kernels.by_rows(of_rows, (x, match, keep, index), num_columns=x.shape[0])
    return of_x + of_y


def _hardest_hinges(x: Array, y: Array, keep: Array, margin: Array) -> Float[Array, "n"]:
    index = jnp.arange(x.shape[0])
    fixed = jax.lax.stop_gradient((x, y))

    def of_rows(rows: tuple[Array, Array, Array]) -> tuple[list[Array], None]:
        negative = keep & (rows[2][:, None] != index)
        pairs = zip(rows[:2], reversed(fixed), strict=True)
        return [jnp.argmax(jnp.where(negative, scores(*z), -jnp.inf), axis=1) for z in pairs], None

    # Only which it is takes all scores; its own score, and the gradient, are those of one pair.
    (in_y, in_x), _ = kernels.by_rows(of_rows, (*fixed, index), num_columns=x.shape[0])
    match = jnp.sum(x * y, axis=1)
    negatives = jnp.sum(x * y[in_y], axis=1), jnp.sum(y * x[in_x], axis=1)
    loss = sum(jax.nn.relu(margin - match + z) for z in negatives)
    return jnp.where(jnp.sum(keep) > 1, loss, 0)
