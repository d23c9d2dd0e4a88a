"""Rank counts: checks of the arguments and choice of the implementation."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.kernels._dispatch import dispatch
from crossmodal_jax.kernels.ranks import _streamed, _xla
from crossmodal_jax.numerics import zero_absent

_IMPLEMENTATIONS = {"streamed": _streamed.rank_counts, "xla": _xla.rank_counts}


def rank_counts(
    queries: Float[ArrayLike, "q d"],
    gallery: Float[ArrayLike, "g d"],
    *,
    positives: Bool[ArrayLike, "q g"] | None = None,
    where: Bool[ArrayLike, "g"] | None = None,
    implementation: str | Sequence[str] | None = None,
) -> _xla.RankCounts:
    """Counts what stands above and beside the best positive of every query.

    With scores sᵢⱼ = ⟨queryᵢ, galleryⱼ⟩, accumulated in float32 at least, and b = max sᵢⱼ over
    the positives j of query i: `above` counts the negatives with s > b, `tied` those with
    s = b, and `positives` the positives with s = b. Nothing is sorted. Normalise the rows
    first for cosine scores.

    A NaN score is the worst: as a negative it is never above nor tied, and a query none of
    whose positives has a number counts every negative above.

    Args:
      queries: Query embeddings, shape [q, d].
      gallery: Embeddings that are searched, shape [g, d].
      positives: True where gallery row j is a right answer of query i, shape [q, g]. None
        means that the answer of query i is row i, and g ≥ q; further rows are distractors.
      where: Gallery rows to keep, shape [g]; a dropped row is neither positive nor negative.
      implementation: `"xla"` (all scores at once), `"streamed"` (slabs of queries, memory
        independent of q), or a sequence of them; None chooses.

    Returns:
      `RankCounts(above, tied, positives)`, each int32 [q].

    Raises:
      ValueError: If the widths differ, `positives` or `where` have another shape, there are
        more queries than gallery rows without `positives`, or `implementation` is unknown.

    Examples:
      >>> import jax.numpy as jnp
      >>> counts = rank_counts(jnp.array([[1.0], [1.0]]), jnp.array([[2.0], [1.0], [1.0]]))
      >>> print(counts.above, counts.tied, counts.positives)
      [0 1] [0 1] [1 1]
    """
    queries, gallery = jnp.asarray(queries), jnp.asarray(gallery)
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            "rank_counts: `queries` and `gallery` must be matrices [q, d] and [g, d] of one "
            f"width, got queries.shape={queries.shape} and gallery.shape={gallery.shape}; project "
            "both into one space first."
        )
    positives = _check_positives(positives, queries.shape[0], gallery.shape[0])
    where = check_where("rank_counts", where, gallery.shape[:1])
    dtype = jnp.promote_types(queries.dtype, gallery.dtype)
    return dispatch(
        "rank_counts",
        _IMPLEMENTATIONS,
        implementation,
        queries.astype(dtype),
        zero_absent(gallery.astype(dtype), where),
        positives,
        where,
    )


def _check_positives(
    positives: ArrayLike | None, num_queries: int, num_gallery: int
) -> Bool[Array, "q g"] | None:
    if positives is None:
        if num_queries > num_gallery:
            raise ValueError(
                "rank_counts: without `positives` the answer of query i is gallery row i, so "
                f"the gallery needs at least {num_queries} rows, got {num_gallery}; pass "
                "positives, Bool [q, g]."
            )
        return None
    positives = jnp.asarray(positives)
    if positives.shape != (num_queries, num_gallery) or positives.dtype != jnp.bool_:
        raise ValueError(
            f"rank_counts: `positives` must be Bool [q, g] = {(num_queries, num_gallery)}, got "
            f"{positives.dtype} {positives.shape}; True marks the right answers of a query."
        )
    return positives
