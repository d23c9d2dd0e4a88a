"""Contrastive loss against soft targets: distillation, and matches that are not one to one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import kernels, numerics
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._pairs import scores
from crossmodal_jax.losses._rows import paired_rows

# From the numbers of some rows to their soft targets [b, n], as shares of their row and of each
# column; 0 for pairs of which one side is dropped.
Targets = Callable[[Array], tuple[Array, Array]]


def soft_target_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    targets: Float[ArrayLike, "n n"] | None = None,
    teacher: tuple[Float[ArrayLike, "n t"], Float[ArrayLike, "n t"]] | None = None,
    teacher_scale: Float[ArrayLike, ""] | float = 1.0,
    weight: Float[ArrayLike, ""] | float = 1.0,
    logit_scale: Float[ArrayLike, ""] | float = 1.0,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, "n"]:
    """Softmax contrastive loss against soft targets in both directions, one value per pair.

    With zᵢⱼ = s·⟨xᵢ, yⱼ⟩ the loss of pair i is the mean of two cross-entropies,
    −½ Σⱼ qᵢⱼ log softmaxⱼ zᵢⱼ − ½ Σⱼ q'ᵢⱼ log softmaxⱼ zⱼᵢ, with the targets
    q = (1 − α) I + α·p and likewise q'. Either a teacher with embeddings u and v gives
    pᵢⱼ = softmaxⱼ t·⟨uᵢ, vⱼ⟩ and p'ᵢⱼ = softmaxⱼ t·⟨uⱼ, vᵢ⟩, or a matrix T does: pᵢ is its row i
    and p'ᵢ its column i, each divided by its sum over what is kept. Targets are constants of the
    gradient.

    α = 1 is pure distillation, α = 0 is `clip_loss`, between them is the momentum distillation of
    ALBEF. The least value of a cross-entropy is the entropy of its targets, not 0. Inputs are used
    as given: normalise first.

    Memory, beside that of T, is linear in n, for the gradient too.

    Args:
      x: Embeddings of the first modality, shape [n, d].
      y: Embeddings of the second modality; row i is the match of `x[i]`.
      targets: The matrix T ≥ 0, shape [n, n]: entry [i, j] tells how much x[i] and y[j] match. A
        row or column without any target has p = 0.
      teacher: Embeddings u and v of the same pairs by another model, shape [n, t] each.
      teacher_scale: The scale t of its logits; may be traced.
      weight: The share α of soft targets, between 0 and 1; may be traced.
      logit_scale: The scale s (not its logarithm); may be traced.
      where: Pairs to keep, shape [n]. A dropped pair is no anchor, no negative *and* no target.

    Returns:
      Loss per pair, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], `targets` or `teacher` does not fit
        or not exactly one of them is given, or `where` does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.eye(2)
      >>> print(soft_target_loss(x, x, targets=jnp.ones((2, 2)), logit_scale=0.0))
      [0.6931472 0.6931472]
      >>> print(soft_target_loss(x, x, teacher=(x, x), weight=0.4).round(4))
      [0.4208 0.4208]

    References:
      Li et al., `Align before Fuse <https://arxiv.org/abs/2107.07651>`_, 2021, section 3.3.
    """
    name = "soft_target_loss"
    (x, y), keep = paired_rows(name, {"x": x, "y": y}, where)
    if targets is not None and teacher is None:
        soft = _given_targets(targets, keep)
    elif teacher is not None and targets is None:
        soft = _teacher_targets(*teacher, teacher_scale, keep)
    else:
        raise ValueError(
            f"{name}: exactly one of `targets` and `teacher` must be given, got "
            f"{'neither' if targets is None else 'both'}; pass targets, Float [n, n], or teacher, "
            "a pair of embeddings."
        )
    scale, weight = jnp.asarray(logit_scale, x.dtype), jnp.asarray(weight, x.dtype)
    index = jnp.arange(x.shape[0])
    # The log-sums of the columns as constants: less them, exponentials may be added slab by slab.
    near = _column_log_sums(*jax.lax.stop_gradient((x, y, scale)), keep)

    def of_rows(rows: tuple[Array, Array, Array]) -> tuple[Array, list[Array]]:
        x, own_keep, own = rows
        kept = own_keep[:, None] & keep
        hard = (1 - weight) * (own[:, None] == index).astype(x.dtype)
        to_y, to_x = (hard + weight * q.astype(x.dtype) for q in soft(own))
        z = scale * scores(x, y)
        log_sums = jnp.where(own_keep, numerics.masked_logsumexp(z, kept), 0)
        loss = jnp.sum(to_y * (log_sums[:, None] - z), axis=1)
        # No kept logit is above the log-sum of its column; what is dropped must not overflow.
        exponentials = kept.astype(x.dtype) * jnp.exp(jnp.minimum(z - near, 1))
        return loss, [jnp.sum(v, axis=0) for v in (exponentials, to_x, to_x * (near - z))]

    # Beside the scores there are as many targets.
    of_x, totals = kernels.by_rows(of_rows, (x, keep, index), num_columns=2 * x.shape[0])
    exponentials, shares, of_y = totals
    of_y = of_y + shares * jnp.log(jnp.where(keep, exponentials, 1))
    return numerics.zero_absent((of_x + of_y) / 2, keep)


def _column_log_sums(x: Array, y: Array, scale: Array, keep: Array) -> Float[Array, "n"]:
    def of_columns(y: Array) -> tuple[Array, None]:
        return numerics.masked_logsumexp(scale * scores(y, x), keep), None

    log_sums, _ = kernels.by_rows(of_columns, y, num_columns=x.shape[0])
    return jnp.where(jnp.any(keep), log_sums, 0)


def _teacher_targets(
    u: ArrayLike, v: ArrayLike, scale: ArrayLike | float, keep: Bool[Array, "n"]
) -> Targets:
    u, v = jnp.asarray(u), jnp.asarray(v)
    if u.ndim != 2 or u.shape != v.shape or u.shape[:1] != keep.shape:
        raise ValueError(
            "soft_target_loss: `teacher` must be two arrays of one shape [n, t] with n = "
            f"{keep.shape[0]}, got {u.shape} and {v.shape}; embed the same pairs."
        )
    # Without a gradient the payload of dropped rows need not be cleaned: its scores are dropped.
    dtype = np.promote_types(np.promote_types(u.dtype, v.dtype), jnp.float32)
    u, v = (jax.lax.stop_gradient(z).astype(dtype) for z in (u, v))
    scale = jax.lax.stop_gradient(jnp.asarray(scale, dtype))
    column_log_sums = _column_log_sums(u, v, scale, keep)

    def of_rows(own: Array) -> tuple[Array, Array]:
        kept = keep[own][:, None] & keep
        z = scale * scores(u[own], v)
        below = jnp.where(kept, z - column_log_sums, -jnp.inf)
        return numerics.masked_softmax(z, kept), jnp.exp(below)

    return of_rows


def _given_targets(targets: ArrayLike, keep: Bool[Array, "n"]) -> Targets:
    targets, num = jax.lax.stop_gradient(jnp.asarray(targets)), keep.shape[0]
    if targets.shape != (num, num) or not jnp.issubdtype(targets.dtype, jnp.floating):
        raise ValueError(
            f"soft_target_loss: `targets` must be floating point, [n, n] = {(num, num)}, got "
            f"{targets.dtype} {targets.shape}; entry [i, j] tells how much x[i] matches y[j]."
        )
    dtype = np.promote_types(targets.dtype, jnp.float32)

    def kept_rows(own: Array) -> Array:
        return jnp.where(keep[own][:, None] & keep, targets[own], 0).astype(dtype)

    # Not a sum over the whole matrix, of which a copy without dropped rows would be made.
    _, column_sums = kernels.by_rows(
        lambda own: (None, jnp.sum(kept_rows(own), axis=0)), jnp.arange(num), num_columns=num
    )

    def of_rows(own: Array) -> tuple[Array, Array]:
        rows = kept_rows(own)
        row_sums = jnp.sum(rows, axis=1, keepdims=True)
        return numerics.safe_divide(rows, row_sums), numerics.safe_divide(rows, column_sums)

    return of_rows
