"""How far a score may move by chance."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.numerics import zero_absent

# Values drawn at a time, over all resamples together: 4 MiB of float32.
_DRAWN_AT_ONCE = 1 << 20


def bootstrap_interval(
    key: Array,
    values: Float[ArrayLike, "n *rest"],
    *,
    statistic: Callable[..., Array] = jnp.mean,
    num_resamples: int = 1000,
    level: float = 0.95,
    where: Bool[ArrayLike, "n"] | None = None,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Percentile bootstrap interval of a statistic of the samples.

    The samples are drawn with replacement, as many as there are, `num_resamples` times; the
    interval runs between the (1 − level)/2 and (1 + level)/2 quantiles of the statistic.
    Resamples are made a few at a time, so memory does not grow with their number.

    Args:
      key: Random key.
      values: One value, or one row of values, per sample, shape [n, *rest].
      statistic: Maps values [n, *rest] to a scalar. With `where` given it is called as
        `statistic(values, where=mask)`, as `jnp.mean` may be, with mask [n, 1, ...]
        broadcasting against the values.
      num_resamples: Number of resamples.
      level: Probability that the interval shall cover, between 0 and 1.
      where: Samples to draw from, shape [n]. If none is kept, the statistic of one 0.

    Returns:
      `(low, high)`, two scalars.

    Raises:
      ValueError: If there is no sample, or `num_resamples` or `level` is out of range.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> low, high = bootstrap_interval(jax.random.key(0), jnp.array([0.0, 1.0] * 50))
      >>> print(0.35 < low < 0.5 < high < 0.65)
      True

    References:
      Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    values = jnp.asarray(values)
    if values.ndim < 1 or values.shape[0] < 1 or num_resamples < 1 or not 0 < level < 1:
        raise ValueError(
            "bootstrap_interval: needs at least one sample, one resample and a level between 0 "
            f"and 1, got values.shape={values.shape}, num_resamples={num_resamples} and "
            f"level={level}."
        )
    num_samples = values.shape[0]
    mask = check_where("bootstrap_interval", where, (num_samples,))
    if where is not None:
        values = zero_absent(values, mask)
    kept = jnp.flatnonzero(mask, size=num_samples, fill_value=0)
    count = jnp.maximum(jnp.sum(mask, dtype=jnp.int32), 1)
    inside = (jnp.arange(num_samples) < count).reshape(-1, *[1] * (values.ndim - 1))

    def resampled(key: Array) -> Array:
        rows = kept[jax.random.randint(key, (num_samples,), 0, count)]
        if where is None:
            return statistic(values[rows])
        return statistic(values[rows], where=inside)

    chunk = max(1, _DRAWN_AT_ONCE // values.size)
    keys = jax.random.split(key, num_resamples)
    statistics = jax.lax.map(resampled, keys, batch_size=min(chunk, num_resamples))
    tail = (1 - level) / 2
    low, high = jnp.quantile(statistics, jnp.array([tail, 1 - tail], statistics.dtype))
    return low, high
