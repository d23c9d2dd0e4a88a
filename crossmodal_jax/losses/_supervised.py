"""Softmax contrastive losses within one set, or between two, with any number of positives."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import kernels
from crossmodal_jax._checks import check_numbers, check_positives, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._inputs import check_views


def supcon_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"] | None = None,
    *,
    labels: Int[ArrayLike, "n"] | None = None,
    positives: Bool[ArrayLike, "n n"] | None = None,
    logit_scale: Float[ArrayLike, ""] | float = 10.0,
    where: Bool[ArrayLike, "n"] | None = None,
    precision: str | jnp.dtype | None = None,
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, "n"]:
    """Supervised contrastive loss, one value per row: rows of one label belong together.

    Of one set, with zᵢⱼ = s·⟨xᵢ, xⱼ⟩ and Pᵢ the other rows of the label of row i, the loss of row
    i is log Σ_{j≠i} exp zᵢⱼ − mean_{p∈Pᵢ} zᵢₚ: the form of the paper whose sum over positives
    stands outside of the logarithm. Of two sets, whose rows i are of one label, it is the mean of
    both directions of log Σⱼ exp zᵢⱼ − mean_{p∈Pᵢ} zᵢₚ with zᵢⱼ = s·⟨xᵢ, yⱼ⟩; nothing is left out
    then, as i itself is a match, and labels of their own make it `clip_loss`. Instead of labels a
    matrix may say what belongs together. A row without a positive adds 0. Inputs are used as
    given: normalise first.

    Args:
      x: Embeddings, shape [n, d].
      y: Embeddings of a second modality, shape [n, d]; None for one set.
      labels: What each row is, shape [n], any whole numbers.
      positives: True where row i and row j belong together, shape [n, n], in place of labels. Of
        one set the diagonal has no meaning; of two sets it matches only where it is True.
      logit_scale: The scale s, one over the temperature; may be traced.
      where: Rows to keep, shape [n]. A dropped row is no anchor, no positive *and* no negative.
      precision: As for `kernels.log_sums`.
      implementation: As for `kernels.log_sums`; `"streamed"` needs memory linear in n, for the
        gradient too.

    Returns:
      Loss per row, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If the embeddings are not matrices of one shape [n, d], if `labels`,
        `positives` or `where` do not fit them, or unless one of the first two is given.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
      >>> print(supcon_loss(x, labels=jnp.array([3, 3, 8]), logit_scale=0.0))
      [0.6931472 0.6931472 0.       ]

    References:
      Khosla et al., `Supervised Contrastive Learning <https://arxiv.org/abs/2004.11362>`_, 2020,
      Eq. 2.
    """
    name = "supcon_loss"
    x, y_or_x = check_views(name, x, x if y is None else y)
    keep = check_where(name, where, x.shape[:1])
    options: Any = {
        "scale": logit_scale,
        "where": keep,
        "where_y": keep,
        "exclude": jnp.arange(x.shape[0]) if y is None else None,
        "precision": precision,
        "implementation": implementation,
    }
    if labels is not None and positives is None:
        labels = check_numbers(name, "labels", labels, x.shape[0])
        sums = kernels.label_log_sums(x, y_or_x, labels=labels, labels_y=labels, **options)
    elif positives is not None and labels is None:
        positives = check_positives(name, positives, (x.shape[0], x.shape[0]))
        sums = kernels.label_log_sums(x, y_or_x, positives=positives, **options)
    else:
        given = "none" if labels is None else "both"
        raise ValueError(
            f"{name}: one of `labels` and `positives` must be given, got {given}; pass labels, "
            "Int [n], where every row has one."
        )
    rows, columns = sums.cross_entropies()
    return rows if y is None else (rows + columns) / 2


def ntxent_loss(
    x: Float[ArrayLike, "n d"],
    y: Float[ArrayLike, "n d"],
    *,
    logit_scale: Float[ArrayLike, ""] | float = 10.0,
    where: Bool[ArrayLike, "n"] | None = None,
    precision: str | jnp.dtype | None = None,
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, "n"]:
    """Normalised temperature-scaled cross-entropy (SimCLR) of two views, one value per pair.

    All 2n views u = [x; y] are compared with one another but for themselves: the loss of a view is
    log Σ_{k≠i} exp(s·⟨uᵢ, uₖ⟩) − s·⟨xᵢ, yᵢ⟩, that of a pair the mean of its two. (`clip_loss` takes
    no negatives of the same side.) Inputs are used as given: normalise first, as the name says.

    Args:
      x: Embeddings of the first view, shape [n, d].
      y: Embeddings of the second view; row i is the match of `x[i]`.
      logit_scale: The scale s, one over the temperature; may be traced.
      where: Pairs to keep, shape [n]. A dropped pair is no anchor *and* no negative.
      precision: As for `kernels.log_sums`.
      implementation: As for `kernels.log_sums`; `"streamed"` needs memory linear in n, for the
        gradient too.

    Returns:
      Loss per pair, shape [n], float32 or float64; 0 where dropped.

    Raises:
      ValueError: If `x` and `y` do not share one shape [n, d], or `where` does not fit.
      TypeError: If `where` is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> print(ntxent_loss(jnp.eye(2), jnp.eye(2), logit_scale=0.0))
      [1.0986123 1.0986123]

    References:
      Chen et al., `A Simple Framework for Contrastive Learning of Visual Representations
      <https://arxiv.org/abs/2002.05709>`_, 2020, Eq. 1.
    """
    x, y = check_views("ntxent_loss", x, y)
    keep = check_where("ntxent_loss", where, x.shape[:1])
    common: Any = {
        "scale": logit_scale,
        "where": keep,
        "where_y": keep,
        "precision": precision,
        "implementation": implementation,
    }
    own = jnp.arange(x.shape[0])
    across = kernels.log_sums(x, y, **common)
    # A single pair has nothing else on its own side.
    among = jnp.where(keep & (jnp.sum(keep) > 1), 0, -jnp.inf)

    def view(across: Array, u: Array) -> Array:
        within = kernels.log_sums(u, u, exclude=own, **common).rows
        return jnp.logaddexp(across, within + among.astype(within.dtype))

    log_sums = (view(across.rows, x) + view(across.columns, y)) / 2
    return jnp.where(keep, log_sums - across.matches, 0)
