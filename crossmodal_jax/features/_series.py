"""Series into features: trajectories resampled by arc length."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax import _checks, numerics
from crossmodal_jax._typing import ArrayLike


def resample_trajectory(
    points: Float[ArrayLike, "*batch t c"],
    where: Bool[ArrayLike, "*batch t"] | None = None,
    *,
    length: int,
    coordinates: int | None = None,
) -> Float[Array, "*batch length c"]:
    """Points at equal distances along a polyline.

    With sᵢ = Σ_{j≤i} ‖pⱼ − pⱼ₋₁‖ over the kept points, sample k is the polyline at arc
    length k·s_end/(length − 1), linear between the two points around it. The result is
    independent of how densely the trajectory was drawn.

    Args:
      points: Points of the trajectories in order, shape [*batch, t, c].
      where: Points to keep, shape [*batch, t]; the line runs straight over a dropped one.
      length: Number of samples; the first and the last are the ends of the line. One
        sample is the first point.
      coordinates: Distance is measured in the first so many of the c channels (pen or
        pressure then follow along); all by default.

    Returns:
      Samples, shape [*batch, length, c], at least float32. One kept point is repeated; no
      kept point gives zeros.

    Raises:
      ValueError: If `points` is not [*batch, t, c] with t ≥ 1, `where` does not fit it, or
        an option is out of range.

    Examples:
      >>> import jax.numpy as jnp
      >>> corner = jnp.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
      >>> print(resample_trajectory(corner, length=5))
      [[0. 0.]
       [1. 0.]
       [2. 0.]
       [3. 0.]
       [3. 1.]]
    """
    points = jnp.asarray(points)
    if points.ndim < 2 or points.shape[-2] < 1:
        raise ValueError(
            "resample_trajectory: `points` must be [*batch, t, c] with t >= 1, got "
            f"points.shape={points.shape}."
        )
    if length < 1 or not (coordinates is None or 1 <= coordinates <= points.shape[-1]):
        raise ValueError(
            "resample_trajectory: `length` must be at least 1 and `coordinates` between 1 and "
            f"c={points.shape[-1]}, got length={length} and coordinates={coordinates}."
        )
    keep = _checks.check_where("resample_trajectory", where, points.shape[:-1])
    points = points.astype(jnp.promote_types(points.dtype, jnp.float32))
    points = numerics.zero_absent(points, keep)

    def resample(points: Array, keep: Array) -> Array:
        return _resample(points, keep, length, coordinates)

    return jnp.vectorize(resample, signature="(t,c),(t)->(l,c)")(points, keep)


def _resample(points: Array, keep: Array, length: int, coordinates: int | None) -> Array:
    # A dropped point repeats the kept one before it (at the start, the first kept one): a
    # step of length 0, which no sample falls into.
    index = jnp.arange(points.shape[0])
    before = jax.lax.cummax(jnp.where(keep, index, -1))
    points = points[jnp.where(before < 0, jnp.argmax(keep), before)]

    steps = numerics.safe_norm(jnp.diff(points[:, :coordinates], axis=0))
    position = jnp.concatenate([jnp.zeros(1, points.dtype), jnp.cumsum(steps)])
    sample = position[-1] * jnp.linspace(0, 1, length, dtype=points.dtype)
    right = jnp.searchsorted(position, sample, side="right")
    left = jnp.maximum(right - 1, 0)
    right = jnp.minimum(right, points.shape[0] - 1)
    fraction = numerics.safe_divide(sample - position[left], position[right] - position[left])
    return points[left] + fraction[:, None] * (points[right] - points[left])
