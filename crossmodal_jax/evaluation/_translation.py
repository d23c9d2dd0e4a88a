"""How well one modality is predicted from another."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from crossmodal_jax._checks import check_finite
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.metrics import bootstrap_interval, r2_score
from crossmodal_jax.numerics import safe_divide


def evaluate_translation(
    predictions: Float[ArrayLike, "n *shape"],
    targets: Float[ArrayLike, "n *shape"],
    *,
    key: Array,
    num_resamples: int = 1000,
) -> dict[str, float]:
    """Share of the variance of the targets that the predictions explain, with an interval.

    Entries whose target never varies, such as the corners of pictures, say nothing about a
    translation and are left out, except of the mean squared error.

    Args:
      predictions: Predicted samples, shape [n, *shape].
      targets: What they should be, the same shape.
      key: Random key of the bootstrap.
      num_resamples: Resamples of the bootstrap over samples.

    Returns:
      Floats by name: `r2` (entries weighted by the variance of their target), `r2_low` and
      `r2_high` (95 % bootstrap interval over samples, about the mean of all targets),
      `r2_uniform` (every entry has the same weight) and `mean_squared_error`.

    Raises:
      ValueError: If the shapes differ, a number is NaN or infinite, or no target varies.

    Examples:
      >>> import jax, numpy as np
      >>> targets = np.array([[0.0, 9.0], [1.0, 9.0], [2.0, 9.0]], np.float32)
      >>> predictions = np.array([[1.0, 8.0], [1.0, 8.0], [1.0, 8.0]], np.float32)
      >>> scores = evaluate_translation(predictions, targets, key=jax.random.key(0))
      >>> scores["r2"], round(scores["mean_squared_error"], 3)
      (0.0, 0.833)
    """
    predictions, targets = np.asarray(predictions), np.asarray(targets)
    if predictions.shape != targets.shape or targets.ndim < 2 or len(targets) == 0:
        raise ValueError(
            "evaluate_translation: `predictions` and `targets` must share one shape [n, *shape], "
            f"got predictions.shape={predictions.shape} and targets.shape={targets.shape}."
        )
    check_finite("evaluate_translation", predictions=predictions, targets=targets)
    predictions, targets = (z.reshape(len(z), -1) for z in (predictions, targets))
    error = np.mean(np.square(predictions.astype(np.float64) - targets))
    varies = np.ptp(targets, axis=0) > 0
    if not varies.any():
        raise ValueError(
            "evaluate_translation: some entry of `targets` must differ between samples, got "
            f"{len(targets)} equal ones; R² is not defined for a constant."
        )
    scores = _scores(predictions[:, varies], targets[:, varies], key, num_resamples)
    return {
        **{name: float(value) for name, value in scores.items()},
        "mean_squared_error": float(error),
    }


@functools.partial(jax.jit, static_argnums=3)
def _scores(predictions: Array, targets: Array, key: Array, num_resamples: int) -> dict[str, Array]:
    residual = jnp.sum(jnp.square(targets - predictions), axis=1)
    total = jnp.sum(jnp.square(targets - jnp.mean(targets, axis=0)), axis=1)

    def explained(rows: Array) -> Array:
        unexplained, variance = jnp.sum(rows, axis=0)
        return 1 - safe_divide(unexplained, variance)

    low, high = bootstrap_interval(
        key, jnp.stack([residual, total], 1), statistic=explained, num_resamples=num_resamples
    )
    return {
        "r2": r2_score(predictions, targets, average="variance"),
        "r2_low": low,
        "r2_high": high,
        "r2_uniform": r2_score(predictions, targets),
    }
