"""A variational autoencoder of several views: encode those there are, decode the others."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import fusion, nn, numerics, training
from crossmodal_jax._checks import (
    check_modalities,
    check_pairs,
    check_present,
    check_where,
    check_width,
)
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.learned._engine import INIT, Options, check_options, descend, widen
from crossmodal_jax.learned._learn import covariance_of
from crossmodal_jax.learned._scale import Scale, fit_scale, restore, standardise
from crossmodal_jax.transforms import Transform

# Variances below exp(−9), a hundredth of a standard deviation, would only let the bound run off.
_LEAST_LOG_VARIANCE = -9.0


class Views(NamedTuple):
    """Weights of `variational`, one entry for each view; y is the last.

    Attributes:
      encoders: Networks from a view, [*batch, d_m], to mean and log-variance of the latent.
      decoders: Networks from the latent, [*batch, dim], to the mean of a view.
      noise: Log-variance of each view about its mean before it is bounded, shape [m + 1].
    """

    encoders: tuple[nn.MLP, ...]
    decoders: tuple[nn.MLP, ...]
    noise: Float[Array, "m_and_y"]


class Variational(NamedTuple):
    """Parameters of `variational`.

    Attributes:
      scales: Mean and standard deviation of the columns of each view, shapes [d_m]; y is the last.
      weights: The networks, as `Views`.
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
      losses: The negative bound of each step before it was taken, shape [num_steps].
    """

    scales: tuple[Scale, ...]
    weights: Views
    residual: Float[Array, "dy dy"]
    losses: Float[Array, "num_steps"]


class _Rows(NamedTuple):
    views: tuple[Array, ...]
    known: Array


def variational(
    *,
    dim: int = 8,
    beta: Float[ArrayLike, ""] | float = 1.0,
    hidden: int = 64,
    depth: int = 1,
    tx: optax.GradientTransformation | None = None,
    num_steps: int = 1000,
    batch_size: int = 128,
    seed: Int[ArrayLike, ""] | int = 0,
) -> Transform:
    """A generative model of x and y, which predicts any view from any others.

    A latent u ~ N(0, I) makes every view, v_m ~ N(D_m(u), σ_m² I) in units of the standard
    deviations. The encoder of a view is a Gaussian expert, and q(u | views) the
    `fusion.product_of_experts` of those there are and the prior. For each row of a batch a random
    part S of its views is encoded (each is left out with probability ½, but never all), and all
    that are known must be decoded from it: what is maximised is
    Σ_m log p(v_m | u) − β KL(q(u | S) ‖ N(0, I)) with one sample u of q(u | S), whose mean over S
    trains what `apply` does later. (The bound of the paper lets a view alone explain only itself.)

    `apply` decodes y at the mean of q(u | x), `inverse` x at that of q(u | y), and `complete_views`
    whatever is absent.

    Args:
      dim: Width of the latent.
      beta: Weight β ≥ 0 of the divergence; may be traced.
      hidden: Width of the hidden layers.
      depth: Number of hidden layers of each network, at least 1.
      tx: As for `learn`.
      num_steps: Number of steps.
      batch_size: Number of rows of a batch.
      seed: As for `learn`; may be traced.

    Returns:
      A `transforms.Transform` with parameters `Variational`.
      `fit(x, y, where=None, *, present=None)` takes x [n, dx] or one array per modality, shapes
      [n, d_m], y [n, dy], and `present` that broadcasts to [n, m] for the modalities of x;
      `apply(params, x, *, present=None)` and `inverse(params, y)` take and return the like, with
      any leading axes. What an absent entry holds is irrelevant.

    Raises:
      ValueError: If a number is out of range; from `fit`, `apply` and `inverse` if y is missing,
        the rows differ, or a width is not as fitted.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jax.random.normal(jax.random.key(0), (100, 2))
      >>> t = variational(dim=2, hidden=16, num_steps=300)
      >>> params = jax.jit(t.fit)(x, 10 * x)
      >>> print(t.inverse(params, t.apply(params, x)).shape, params.residual[0, 0] < 50)
      (100, 2) True

    References:
      Wu and Goodman, `Multimodal Generative Models for Scalable Weakly-Supervised Learning
      <https://arxiv.org/abs/1802.05335>`_, 2018, for the product and the random parts.
    """
    options = Options(tx, num_steps, batch_size, seed)
    check_options("variational", options)
    if dim < 1:
        raise ValueError(f"variational: `dim` must be at least 1, got {dim}.")

    def init(key: Array, dims: Sequence[int]) -> Views:
        rngs = nnx.Rngs(key)
        encoders = tuple(nn.MLP(d, hidden, 2 * dim, depth=depth, rngs=rngs) for d in dims)
        decoders = tuple(nn.MLP(dim, hidden, d, depth=depth, rngs=rngs) for d in dims)
        return Views(encoders, decoders, jnp.zeros(len(dims), jnp.float32))

    def loss(weights: Views, batch: _Rows, key: Array) -> Float[Array, ""]:
        drop, draw = jax.random.split(key)
        part = training.modality_dropout(drop, batch.known, rate=0.5)
        return jnp.mean(negative_bound(weights, batch.views, batch.known, part, draw, beta=beta))

    def fit(
        x: Float[ArrayLike, "n dx"] | Sequence[Float[ArrayLike, "n _"]],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Variational:
        raw, keep = _kept_rows(x, y, where, present)
        masks = [keep & raw.known[:, m] for m in range(len(raw.views))]
        scales = tuple(map(fit_scale, raw.views, masks))
        rows = raw._replace(views=tuple(map(standardise, scales, raw.views)))
        weights = init(options.key(INIT), [v.shape[-1] for v in raw.views])
        weights = widen(weights, raw.views[0].dtype)
        weights, losses = descend(loss, weights, rows, keep, options)
        y = _decoded(weights, rows.views[:-1], rows.known[:, :-1], -1)
        error = raw.views[-1] - restore(scales[-1], y)
        return Variational(scales, weights, covariance_of(error, keep), losses)

    def apply(
        params: Variational,
        x: Float[ArrayLike, "*batch dx"] | Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dy"]:
        xs = _sources("variational", params, x)
        mask = check_present("variational", present, xs)
        views = _standardised(params.scales[:-1], xs, mask)
        y = _decoded(params.weights, views, mask, -1)
        return restore(params.scales[-1], y)

    def inverse(params: Variational, y: Float[ArrayLike, "*batch dy"]) -> Any:
        y = check_width("variational", "y", y, params.scales[-1].mean.shape[0])
        view = standardise(params.scales[-1], y)
        mean = _posterior(params.weights.encoders[-1:], [view], None).mean
        pairs = zip(params.scales[:-1], params.weights.decoders[:-1], strict=True)
        xs = [restore(scale, decode(mean)) for scale, decode in pairs]
        return xs[0] if len(xs) == 1 else tuple(xs)

    return Transform(fit, apply, inverse)


def complete_views(
    params: Variational,
    views: Sequence[Float[ArrayLike, "..."]],
    *,
    present: Bool[ArrayLike, "..."],
) -> tuple[Float[Array, "..."], ...]:
    """Fills in the absent views of each sample from those that it has.

    Args:
      params: What the `fit` of `variational` returned.
      views: The modalities of x and then y, shapes [*batch, d_m]; the batch axes broadcast.
      present: True where a sample has the view, a shape that broadcasts to [*batch, m + 1].

    Returns:
      The views, shapes [*batch, d_m]: as given where present, else decoded from the mean of the
      latent given the present ones (of the prior if there are none).

    Raises:
      ValueError: If the number of views or a width is not as fitted.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jax.random.normal(jax.random.key(0), (100, 2))
      >>> params = jax.jit(variational(dim=2, num_steps=10).fit)(x, x)
      >>> views = [jnp.ones((1, 2)), jnp.full((1, 2), jnp.nan)]
      >>> filled = complete_views(params, views, present=jnp.array([True, False]))
      >>> print(filled[0], jnp.isfinite(filled[1]).all())
      [[1. 1.]] True
    """
    arrays = check_modalities("complete_views", views)
    _check_widths("complete_views", params.scales, arrays)
    mask = check_present("complete_views", present, arrays)
    standard = _standardised(params.scales, arrays, mask)
    mean = _posterior(params.weights.encoders, standard, mask).mean
    decoded = [
        restore(s, d(mean)) for s, d in zip(params.scales, params.weights.decoders, strict=True)
    ]
    return tuple(
        jnp.where(mask[..., m, None], jnp.asarray(v).astype(new.dtype), new)
        for m, (v, new) in enumerate(zip(arrays, decoded, strict=True))
    )


def negative_bound(
    weights: Views,
    views: Sequence[Float[Array, "b _"]],
    known: Bool[Array, "b m"],
    part: Bool[Array, "b m"],
    key: Array,
    *,
    beta: Float[ArrayLike, ""] | float,
) -> Float[Array, "b"]:
    """−Σ_m log p(v_m | u) + β KL(q(u | part) ‖ N(0, I)) of each row, but for a constant."""
    belief = _posterior(weights.encoders, views, part)
    u = fusion.sample_gaussian(key, belief)
    log_noise = _bounded(weights.noise)
    terms = [
        jnp.sum(jnp.square(v - decode(u)) * jnp.exp(-log_noise[m]) + log_noise[m], axis=-1) / 2
        for m, (v, decode) in enumerate(zip(views, weights.decoders, strict=True))
    ]
    variance = jnp.exp(belief.log_variance)
    divergence = jnp.square(belief.mean) + variance - 1 - belief.log_variance
    surprise = jnp.sum(jnp.where(known, jnp.stack(terms, axis=-1), 0), axis=-1)
    return surprise + jnp.asarray(beta, u.dtype) * jnp.sum(divergence, axis=-1) / 2


def _posterior(
    encoders: Sequence[Any], views: Sequence[Array], mask: Array | None
) -> fusion.Gaussian:
    """q(u | views that the mask has)."""
    experts = []
    for encode, view in zip(encoders, views, strict=True):
        mean, raw = jnp.split(encode(view), 2, axis=-1)
        experts.append(fusion.Gaussian(mean, _bounded(raw)))
    return fusion.product_of_experts(experts, present=mask)


def _decoded(weights: Views, views: Sequence[Array], mask: Array, m: int) -> Array:
    """View m decoded from the mean of the latent, given the leading views that the mask has."""
    encoders = weights.encoders[: len(views)]
    return weights.decoders[m](_posterior(encoders, views, mask).mean)


def _bounded(raw: Float[Array, "..."]) -> Float[Array, "..."]:
    """A log-variance that is `raw` unless that is very small."""
    return _LEAST_LOG_VARIANCE + jax.nn.softplus(raw - _LEAST_LOG_VARIANCE)


def _kept_rows(x: Any, y: Any, where: Any, present: Any) -> tuple[Any, Bool[Array, "n"]]:
    """Views of one dtype, zeros where dropped or absent; which are known, and which rows kept."""
    if y is None:
        raise ValueError(
            "variational: `fit` must have both sides of the pairs, got only x; pass y."
        )
    xs, single = _as_views(x)
    named = {"x" if single else f"x[{m}]": v for m, v in enumerate(xs)}
    *xs, y = check_pairs("variational", **named, y=y)
    mask = check_present("variational", present, xs)
    keep = check_where("variational", where, y.shape[:1])
    known = jnp.concatenate([mask, jnp.ones((y.shape[0], 1), bool)], axis=-1)
    dtype = np.dtype(np.float32)
    for view in (*xs, y):
        dtype = np.promote_types(dtype, view.dtype)
    views = tuple(
        numerics.zero_absent(view, keep & known[:, m]).astype(dtype)
        for m, view in enumerate((*xs, y))
    )
    return _Rows(views, known), keep


def _as_views(x: Any) -> tuple[tuple[Any, ...], bool]:
    single = isinstance(x, jax.Array | np.ndarray)
    return ((x,) if single else tuple(x)), single


def _sources(name: str, params: Variational, x: Any) -> tuple[Array, ...]:
    """The modalities of x, with the number and the widths of the fit."""
    xs, single = _as_views(x)
    if single and len(params.scales) == 2:
        return (check_width(name, "x", x, params.scales[0].mean.shape[0]),)
    arrays = check_modalities(name, xs)
    _check_widths(name, params.scales[:-1], arrays)
    return arrays


def _check_widths(name: str, scales: Sequence[Any], views: Sequence[Array]) -> None:
    expected = [scale.mean.shape[0] for scale in scales]
    if [v.shape[-1] for v in views] != expected:
        raise ValueError(
            f"{name}: the views must have the widths {expected} as fitted, got "
            f"{[v.shape[-1] for v in views]}; mark missing ones with `present`."
        )


def _standardised(
    scales: Sequence[Any], views: Sequence[Array], mask: Bool[Array, "*batch m"]
) -> tuple[Array, ...]:
    batch = mask.shape[:-1]
    full = [jnp.broadcast_to(v, (*batch, v.shape[-1])) for v in views]
    clean = [numerics.zero_absent(v, mask[..., m]) for m, v in enumerate(full)]
    return tuple(map(standardise, scales, clean))
