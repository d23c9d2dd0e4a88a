"""Matching of pairs by a head that sees both sides, and the negatives it learns most from."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_pairs, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._clean import common_dtype

# Scores in memory at a time: 16 MiB in float32, and as much noise.
_ENTRIES = 2**22


def matching_loss(
    logits: Float[ArrayLike, "*batch"],
    matches: Bool[ArrayLike, "*batch"],
    *,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Binary cross-entropy of whether the two sides of a pair match, one value per pair.

    log(1 + exp(−z)) for a pair that matches and log(1 + exp z) for one that does not.

    Args:
      logits: Log-odds z of a match, shape [*batch].
      matches: True where the pair matches, shape [*batch].
      where: Pairs to keep, shape [*batch].

    Returns:
      Loss per pair, shape [*batch], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `matches` or `where` does not have the shape of `logits`.
      TypeError: If `matches` or `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(matching_loss(jnp.array([0.0, 100.0]), jnp.array([True, False])))
      [  0.6931472 100.       ]

    References:
      Li et al., `Align before Fuse <https://arxiv.org/abs/2107.07651>`_, 2021, section 3.2.
    """
    logits, matches = jnp.asarray(logits), jnp.asarray(matches)
    if matches.shape != logits.shape:
        raise ValueError(
            "matching_loss: `matches` must have one entry per logit, got "
            f"logits.shape={logits.shape} and matches.shape={matches.shape}; "
            "drop the last axis of a head with one output."
        )
    if matches.dtype != jnp.bool_:
        raise TypeError(
            f"matching_loss: `matches` must be boolean, got {matches.dtype}; "
            "convert it with matches.astype(bool)."
        )
    keep = check_where("matching_loss", where, logits.shape)
    logits = numerics.zero_absent(logits, keep).astype(common_dtype(logits))
    return jnp.where(keep, jax.nn.softplus(jnp.where(matches, -logits, logits)), 0)


def sample_negatives(
    key: PRNGKeyArray,
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    logit_scale: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "n"] | None = None,
    labels: Int[ArrayLike, "n"] | None = None,
) -> Int[Array, "n"]:
    """Draws for each row of x a row of y that does not belong to it, hard ones more often.

    Row i gets the index j with probability ∝ exp(s·⟨xᵢ, yⱼ⟩), over the kept j ≠ i and, with
    `labels`, those of another label. Swap x and y for the other direction. s = 0 is a uniform draw.

    Rows are drawn independently, each by the largest of its logits plus Gumbel noise of its own
    key, in slabs of rows: memory is linear in n. There is no gradient.

    Args:
      key: Random key.
      x: Embeddings of the first modality, shape [n, d].
      y: Embeddings of the second modality; row i is the match of `x[i]`.
      logit_scale: The scale s; may be traced.
      where: Pairs to keep, shape [n]. A dropped pair is never drawn.
      labels: What rows show, as the number of the picture of each caption, shape [n]: rows with
        equal labels match each other. None if only row i matches row i.

    Returns:
      Indices of rows of y, shape [n]. A row without any negative, and a dropped row, gets its own
      index i, which is no negative: drop it as `where=indices != jnp.arange(n)`.

    Raises:
      ValueError: If x and y do not share one shape [n, d], or a mask or `labels` does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
      >>> print(sample_negatives(jax.random.key(0), x, x, logit_scale=100.0)[:2])
      [1 0]

    References:
      Li et al., `Align before Fuse <https://arxiv.org/abs/2107.07651>`_, 2021, section 3.2.
    """
    x, y = check_pairs("sample_negatives", x=x, y=y)
    if x.shape != y.shape:
        raise ValueError(
            f"sample_negatives: `x` and `y` must share one shape [n, d], got x.shape={x.shape} and "
            f"y.shape={y.shape}; project both to one width."
        )
    num = x.shape[0]
    keep = check_where("sample_negatives", where, (num,))
    rows = jnp.arange(num)
    labels = rows if labels is None else jnp.asarray(labels)
    if labels.shape != (num,):
        raise ValueError(
            f"sample_negatives: `labels` must have one entry per row, shape {(num,)}, got "
            f"labels.shape={labels.shape}; without repeated rows leave it out."
        )
    dtype = common_dtype(x, y)
    x, y = (numerics.zero_absent(z.astype(dtype), keep) for z in (x, y))
    scale = jnp.asarray(logit_scale, dtype)

    def draw(row: tuple[Array, Array]) -> Int[Array, ""]:
        i, vector = row
        logits = scale * jnp.matmul(y, vector, precision="highest")
        noise = jax.random.gumbel(jax.random.fold_in(key, i), (num,), dtype)
        allowed = keep & keep[i] & (labels != labels[i])
        best = jnp.argmax(jnp.where(allowed, logits + noise, -jnp.inf))
        return jnp.where(jnp.any(allowed), best, i)

    return jax.lax.map(draw, (rows, x), batch_size=max(_ENTRIES // max(num, 1), 1))
