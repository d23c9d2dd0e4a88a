"""Joint first and second moments of several modalities, in one pass over any amount of data."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax._checks import check_pairs, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics._masked import zero_absent


class JointMoments(NamedTuple):
    """Count, means and centred second moments of rows that all modalities share.

    A pytree of arrays: it may be carried by a scan, mapped over folds or summed over devices.
    Read it through `means` and `covariance`. A mean is kept as origin + offset, two numbers of
    the working precision, so that merging chunks whose mean is 1e3 loses no digits.

    Attributes:
      count: Number of rows seen, int32 scalar.
      origins: A point near the mean of each modality, shapes [d_i].
      offsets: Mean minus origin, shapes [d_i].
      scatter: Upper triangle of blocks; `scatter[i][j - i]` for j ≥ i is
        Σ (xᵢ − mean)(xⱼ − mean)ᵀ over the rows, shape [d_i, d_j].
    """

    count: Int[Array, ""]
    origins: tuple[Float[Array, "_"], ...]
    offsets: tuple[Float[Array, "_"], ...]
    scatter: tuple[tuple[Float[Array, "_ _"], ...], ...]

    @property
    def means(self) -> tuple[Float[Array, "_"], ...]:
        """Mean of each modality, shapes [d_i]."""
        return tuple(o + d for o, d in zip(self.origins, self.offsets, strict=True))


def init_moments(dims: Sequence[int], *, dtype: jnp.dtype | type = jnp.float32) -> JointMoments:
    """Moments of no rows at all.

    Args:
      dims: Width of each modality.
      dtype: Dtype of means and scatter, float32 or float64.

    Returns:
      `JointMoments` with count 0.

    Examples:
      >>> init_moments((3, 2)).scatter[0][1].shape
      (3, 2)
    """
    return JointMoments(
        count=jnp.zeros((), jnp.int32),
        origins=tuple(jnp.zeros((d,), dtype) for d in dims),
        offsets=tuple(jnp.zeros((d,), dtype) for d in dims),
        scatter=tuple(
            tuple(jnp.zeros((d, e), dtype) for e in dims[i:]) for i, d in enumerate(dims)
        ),
    )


def moments(
    xs: Sequence[Float[ArrayLike, "n _"]], *, where: Bool[ArrayLike, "n"] | None = None
) -> JointMoments:
    """Joint moments of one set of rows.

    The rows are centred before they are multiplied, so a mean of 1e3 costs no digits of the
    covariance; products run at highest precision.

    Args:
      xs: One matrix per modality, shapes [n, d_i]; row r of each is the same sample.
      where: Rows to keep, shape [n]. What a dropped row holds has no influence.

    Returns:
      The `JointMoments` of the kept rows, float32 at least.

    Raises:
      ValueError: If the modalities are not matrices with the same number of rows.

    Examples:
      >>> import jax.numpy as jnp
      >>> m = moments([jnp.array([[1.0], [3.0]]), jnp.array([[2.0], [6.0]])])
      >>> print(m.count, m.means[1], covariance(m, 0, 1))
      2 [4.] [[2.]]
    """
    arrays = check_pairs("moments", **{f"xs{i}": x for i, x in enumerate(xs)})
    keep = check_where("moments", where, arrays[0].shape[:1])
    count = jnp.sum(keep, dtype=jnp.int32)
    centred, origins, offsets = zip(*(_centre(x, keep, count) for x in arrays), strict=True)
    scatter = tuple(
        tuple(jnp.matmul(a.T, b, precision="highest") for b in centred[i:])
        for i, a in enumerate(centred)
    )
    return JointMoments(count, origins, offsets, scatter)


def _centre(x: Array, keep: Array, count: Array) -> tuple[Array, Array, Array]:
    """Returns kept rows minus their mean (dropped rows 0), and the mean as origin and offset."""
    x = zero_absent(x, keep).astype(np.promote_types(x.dtype, jnp.float32))
    number = jnp.maximum(count, 1).astype(x.dtype)
    origin = jnp.sum(x, axis=0) / number
    centred = zero_absent(x - origin, keep)
    # What rounding took from the mean is the mean of what is left.
    offset = jnp.sum(centred, axis=0) / number
    return zero_absent(centred - offset, keep), origin, offset


def update_moments(
    state: JointMoments,
    xs: Sequence[Float[ArrayLike, "n _"]],
    *,
    where: Bool[ArrayLike, "n"] | None = None,
) -> JointMoments:
    """Adds rows to moments: the step of a streaming fit.

    Args:
      state: Moments of the rows so far.
      xs: More rows, one matrix [n, d_i] per modality.
      where: Rows to keep, shape [n].

    Returns:
      The moments of all rows.

    Raises:
      ValueError: If the widths are not those of `state`.

    Examples:
      >>> import jax.numpy as jnp
      >>> state = update_moments(init_moments((1,)), [jnp.array([[1.0], [2.0], [3.0]])])
      >>> print(state.count, state.means[0])
      3 [2.]
    """
    return merge_moments(state, moments(xs, where=where))


def merge_moments(a: JointMoments, b: JointMoments) -> JointMoments:
    """Moments of the union of two sets of rows, in any order, either possibly empty.

    S = S_a + S_b + (n_a n_b / n) δᵢ δⱼᵀ with δ the difference of the means.

    Args:
      a: Moments of the first set, widths [d_i].
      b: Moments of the second set, the same widths.

    Returns:
      Moments of both together.

    Raises:
      ValueError: If the widths differ.

    Examples:
      >>> import jax.numpy as jnp
      >>> a, b = moments([jnp.array([[1.0]])]), moments([jnp.array([[3.0]])])
      >>> print(covariance(merge_moments(a, b), 0, 0))
      [[1.]]

    References:
      Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm for Computing
      Sample Variances, 1979.
    """
    widths = [[m.shape[0] for m in side.offsets] for side in (a, b)]
    if widths[0] != widths[1]:
        raise ValueError(
            f"merge_moments: both sides must have the same widths, got {widths[0]} and "
            f"{widths[1]}; moments can be merged only over the same modalities."
        )
    origins = tuple(
        jnp.where(a.count > 0, oa, ob) for oa, ob in zip(a.origins, b.origins, strict=True)
    )
    dtype = origins[0].dtype
    count = a.count + b.count
    share = b.count.astype(dtype) / jnp.maximum(count, 1).astype(dtype)
    weight = a.count.astype(dtype) * share
    starts, ends = _offsets_from(origins, a), _offsets_from(origins, b)
    deltas = [end - start for start, end in zip(starts, ends, strict=True)]
    scatter = tuple(
        tuple(
            sa + sb + weight * jnp.outer(deltas[i], deltas[i + k])
            for k, (sa, sb) in enumerate(zip(row_a, row_b, strict=True))
        )
        for i, (row_a, row_b) in enumerate(zip(a.scatter, b.scatter, strict=True))
    )
    offsets = tuple(o + share * delta for o, delta in zip(starts, deltas, strict=True))
    return JointMoments(count, origins, offsets, scatter)


def _offsets_from(origins: Sequence[Array], state: JointMoments) -> list[Array]:
    """Means of `state` minus other origins; near numbers subtract without rounding."""
    seen = state.count > 0
    return [
        jnp.where(seen, (own - origin) + offset, 0)
        for origin, own, offset in zip(origins, state.origins, state.offsets, strict=True)
    ]


def psum_moments(state: JointMoments, axis_name: str) -> JointMoments:
    """Moments of the rows of all devices along a mapped axis, the same on each of them.

    Args:
      state: Moments of the rows of this device, widths [d_i].
      axis_name: Name of the mapped axis of `jax.shard_map` or `jax.vmap`.

    Returns:
      Moments of all rows.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> def both(x):
      ...   return psum_moments(moments([x]), "rows").means[0]
      >>> print(jax.vmap(both, axis_name="rows")(jnp.array([[[1.0]], [[3.0]]])).ravel())
      [2. 2.]
    """
    dtype = state.offsets[0].dtype
    count = jax.lax.psum(state.count, axis_name)
    weight = state.count.astype(dtype)
    share = weight / jnp.maximum(count, 1).astype(dtype)
    origins = tuple(jax.lax.psum(share * o, axis_name) for o in state.origins)
    local = _offsets_from(origins, state)
    offsets = tuple(jax.lax.psum(share * o, axis_name) for o in local)
    deltas = [mine - mean for mine, mean in zip(local, offsets, strict=True)]
    scatter = tuple(
        tuple(
            jax.lax.psum(block + weight * jnp.outer(deltas[i], deltas[i + k]), axis_name)
            for k, block in enumerate(row)
        )
        for i, row in enumerate(state.scatter)
    )
    return JointMoments(count, origins, offsets, scatter)


def covariance(state: JointMoments, i: int, j: int) -> Float[Array, "_ _"]:
    """Covariance of modalities i and j, Σ (xᵢ − mean)(xⱼ − mean)ᵀ / n.

    Args:
      state: The moments, widths [d_i].
      i: Index of the modality along the rows of the result.
      j: Index of the modality along its columns.

    Returns:
      The covariance, shape [d_i, d_j]; 0 if no row was seen.

    Examples:
      >>> import jax.numpy as jnp
      >>> m = moments([jnp.array([[1.0], [3.0]]), jnp.array([[2.0], [6.0]])])
      >>> print(covariance(m, 1, 0))
      [[2.]]
    """
    block = state.scatter[i][j - i] if i <= j else state.scatter[j][i - j].T
    return block / jnp.maximum(state.count, 1).astype(block.dtype)
