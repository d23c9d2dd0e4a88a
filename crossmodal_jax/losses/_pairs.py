"""What losses over the scores of all pairs share: checked sides, and slabs of anchors."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax import kernels, numerics
from crossmodal_jax._checks import check_numbers
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._rows import paired_rows

# From scores, positives and negatives of some anchors, each [b, n], to one value per anchor.
OfAnchors = Callable[[Array, Array, Array], Array]


def scores(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> Float[Array, "n m"]:
    """Dot products of all pairs, not shortened on any accelerator."""
    return numerics.dot_scores(x, y, precision="highest")


def over_anchors(
    name: str,
    function: OfAnchors,
    x: ArrayLike,
    y: ArrayLike | None,
    *,
    labels: ArrayLike | None,
    where: ArrayLike | None,
) -> Float[Array, "n"]:
    """One value per row of x, which is compared with all rows of y, or all other rows of x.

    Those with its label are positives, the others negatives; a dropped row is neither, and has
    value 0. Without labels y[i] is the positive of x[i].
    """
    single = y is None
    (x, y), keep = paired_rows(name, {"x": x, "y": x if y is None else y}, where)
    # Not a second copy of it: what flows back to both is added up in one place.
    y = x if single else y
    if labels is None and single:
        raise ValueError(
            f"{name}: without `y`, `labels` must be given, got None; pass labels, Int [n], or y, "
            "whose row i is then the match of x[i]."
        )
    index = jnp.arange(x.shape[0])
    classes = index if labels is None else check_numbers(name, "labels", labels, x.shape[0])

    def of_rows(rows: tuple[Array, Array, Array]) -> tuple[Array, None]:
        x, own_class, own = rows
        same = own_class[:, None] == classes
        others = keep & (own[:, None] != index) if single else keep
        return function(scores(x, y), same & others, ~same & others), None

    values, _ = kernels.by_rows(of_rows, (x, classes, index), num_columns=x.shape[0])
    return numerics.zero_absent(values, keep)
