"""From one sequence to another, by queries that read it."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import fusion, numerics
from crossmodal_jax._checks import check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.fusion import TranslatorWeights
from crossmodal_jax.learned._engine import INIT, Options, check_options, descend, widen
from crossmodal_jax.learned._learn import Learned, covariance_of
from crossmodal_jax.learned._scale import fit_scale, restore, standardise
from crossmodal_jax.transforms import Transform

_NAME = "cross_attention"
# Rows of x and of y, and which of their tokens exist.
_Rows = tuple[Array, Array, Array, Array]


def cross_attention(
    *,
    dim: int = 32,
    num_heads: int = 4,
    num_layers: int = 1,
    tx: optax.GradientTransformation | None = None,
    num_steps: int = 1000,
    batch_size: int = 128,
    seed: Int[ArrayLike, ""] | int = 0,
) -> Transform:
    """A sequence from another one, of its own length and width.

    T(x) = ȳ + s_y ⊙ f((x − x̄) / s_x) token by token, where f is the `fusion.translator`: the
    tokens of x get positions and attend to each other, then one learned query for each token of y
    attends to them. What is minimised is the mean squared error over the tokens of y that exist,
    in units of the standard deviations s of the columns, which are those of the tokens that exist.
    `learn` says how it is trained. The tokens of y are predicted all at once and do not see each
    other.

    Args:
      dim: Width of the blocks, at least 2.
      num_heads: Heads of each attention, of ⌈dim / num_heads⌉ features.
      num_layers: Number of blocks among the tokens of x, and of blocks that read them.
      tx: As for `learn`.
      num_steps: Number of steps.
      batch_size: Number of sequences of a batch.
      seed: As for `learn`; may be traced.

    Returns:
      A `transforms.Transform` with parameters `Learned`, whose weights are
      `fusion.TranslatorWeights` and whose residual, shape [dy, dy], is over all tokens; it has no
      inverse. `fit(x, y, where=None)` takes x [n, tx, dx] and y [n, ty, dy]; `where` keeps rows,
      shape [n], or is a pair of masks of tokens, shapes [n, tx] and [n, ty], either of which may
      be None. A row without any token of y is dropped. `apply(params, x, where=None)` takes x
      [*batch, t, dx] with any number t of tokens and `where` [*batch, t], and gives
      [*batch, ty, dy]. What a dropped token holds is irrelevant, and where in a sequence it
      stands; without any token of x the prediction is the same for all.

    Raises:
      ValueError: If a number is out of range; from `fit` if y is missing, the rows differ or
        `where` does not fit them, from `apply` if the width is not as fitted.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jax.random.normal(jax.random.key(0), (256, 3, 1))
      >>> t = cross_attention(dim=16, num_steps=300)
      >>> params = jax.jit(t.fit)(x, x[:, ::-1])
      >>> print(params.residual[0, 0] < 0.05, t.apply(params, x[0]).shape)
      True (3, 1)

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_, 2017.
    """
    options = Options(tx, num_steps, batch_size, seed)
    check_options(_NAME, options)
    if dim < 2 or num_heads < 1 or num_layers < 1:
        raise ValueError(
            f"{_NAME}: `dim` must be at least 2, `num_heads` and `num_layers` at least 1, got "
            f"dim={dim}, num_heads={num_heads} and num_layers={num_layers}; leave them out for "
            "the defaults."
        )

    def fit(
        x: Float[ArrayLike, "n tx dx"],
        y: Float[ArrayLike, "n ty dy"] | None = None,
        where: Any = None,
    ) -> Learned:
        x, y, where_x, where_y = _kept_tokens(x, y, where)
        scale_x, scale_y = fit_scale(x, where_x), fit_scale(y, where_y)
        rows = standardise(scale_x, x), standardise(scale_y, y), where_x, where_y
        weights = fusion.init_translator(
            options.key(INIT),
            x.shape[-1:],
            dim,
            num_tokens=y.shape[1],
            dim_out=y.shape[2],
            num_heads=num_heads,
            num_layers=num_layers,
        )
        keep = jnp.any(where_y, axis=-1)
        weights, losses = descend(_loss, widen(weights, x.dtype), rows, keep, options)
        error = y - restore(scale_y, _translate(weights, rows[0], where_x))
        residual = covariance_of(error.reshape(-1, y.shape[2]), where_y.reshape(-1))
        return Learned(scale_x, scale_y, weights, residual, losses)

    return Transform(fit, _apply)


def _apply(
    params: Learned,
    x: Float[ArrayLike, "*batch t dx"],
    where: Bool[ArrayLike, "*batch t"] | None = None,
) -> Float[Array, "*batch ty dy"]:
    x = jnp.asarray(x)
    width = params.scale_x.mean.shape[0]
    if x.ndim < 2 or x.shape[-1] != width:
        raise ValueError(
            f"{_NAME}: `x` must be [*batch, t, {width}] as fitted, got x.shape={x.shape}; keep "
            "the columns of the fit, and give a single token an axis, x[..., None, :]."
        )
    mask = check_where(_NAME, where, x.shape[:-1])
    tokens = standardise(params.scale_x, numerics.zero_absent(x, mask))
    return restore(params.scale_y, _translate(params.weights, tokens, mask))


def _translate(
    weights: TranslatorWeights, x: Float[Array, "*batch t dx"], where: Bool[Array, "*batch t"]
) -> Float[Array, "*batch ty dy"]:
    return fusion.translator([x], weights, where=[where])


def _loss(weights: TranslatorWeights, batch: _Rows, key: Array) -> Float[Array, ""]:
    """Mean squared error over the tokens of y that exist."""
    del key  # nothing is drawn
    x, y, where_x, where_y = batch
    squares = jnp.square(y - _translate(weights, x, where_x))
    return numerics.masked_mean(squares, where_y[..., None])


def _kept_tokens(x: ArrayLike, y: ArrayLike | None, where: Any) -> _Rows:
    """Sequences of one dtype, float32 at least, zeros where dropped; and which tokens are kept."""
    if y is None:
        raise ValueError(f"{_NAME}: `fit` must have both sides of the pairs, got only x; pass y.")
    x, y = jnp.asarray(x), jnp.asarray(y)
    if x.ndim != 3 or y.ndim != 3 or x.shape[0] != y.shape[0]:
        raise ValueError(
            f"{_NAME}: `x` and `y` must be [n, t, d] with the same n, got x.shape={x.shape}, "
            f"y.shape={y.shape}; row i of each must be the same sample."
        )
    where_x, where_y = _token_masks(where, x.shape[:2], y.shape[:2])
    # A row without tokens of y has nothing to teach, so its x must not move the scale either.
    where_x = where_x & jnp.any(where_y, axis=-1, keepdims=True)
    dtype = np.promote_types(np.promote_types(x.dtype, y.dtype), np.float32)
    x, y = numerics.zero_absent(x, where_x), numerics.zero_absent(y, where_y)
    return x.astype(dtype), y.astype(dtype), where_x, where_y


def _token_masks(
    where: Any, shape_x: tuple[int, ...], shape_y: tuple[int, ...]
) -> tuple[Bool[Array, "n tx"], Bool[Array, "n ty"]]:
    if isinstance(where, tuple | list):
        if len(where) != 2:
            raise ValueError(
                f"{_NAME}: `where` must be a mask of rows [n] or a pair of masks of tokens, "
                f"[n, tx] and [n, ty], got {len(where)} entries; write (where_x, where_y)."
            )
        return check_where(_NAME, where[0], shape_x), check_where(_NAME, where[1], shape_y)
    keep = check_where(_NAME, where, shape_x[:1])[:, None]
    return jnp.broadcast_to(keep, shape_x), jnp.broadcast_to(keep, shape_y)
