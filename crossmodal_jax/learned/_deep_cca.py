"""Deep canonical correlation analysis: networks first, the closed form on what they make."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import losses, nn, transforms
from crossmodal_jax._checks import check_width
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.learned._engine import INIT, Options, check_options, descend, widen
from crossmodal_jax.learned._learn import Batch, covariance_of, kept_pairs
from crossmodal_jax.learned._scale import Scale, fit_scale, restore, standardise
from crossmodal_jax.transforms import CCA, Ridge, Transform


class DeepCCA(NamedTuple):
    """Parameters of `deep_cca`; the pairs hold what belongs to x and to y.

    Attributes:
      scales: Mean and standard deviation of the columns, shapes [dx] and [dy].
      weights: The networks, from standardised rows to embeddings [*batch, dim].
      cca: Linear CCA of the embeddings of all fitted rows; its `correlations`, shape [dim], are
        those of the canonical variates.
      regression: Least squares from the variates of x to standardised y.
      residual: Covariance of y − T(x) over the fitted rows, shape [dy, dy].
      losses: The loss of each step before it was taken, shape [num_steps].
    """

    scales: tuple[Scale, Scale]
    weights: tuple[nn.MLP, nn.MLP]
    cca: CCA
    regression: Ridge
    residual: Float[Array, "dy dy"]
    losses: Float[Array, "num_steps"]


def deep_cca(
    *,
    dim: int = 8,
    hidden: int = 64,
    depth: int = 2,
    l2: Float[ArrayLike, ""] | float = 1e-3,
    tx: optax.GradientTransformation | None = None,
    num_steps: int = 1000,
    batch_size: int = 512,
    seed: Int[ArrayLike, ""] | int = 0,
) -> Transform:
    """Embeddings of x and y that correlate most, and the regression of y on those of x.

    Two networks f and g of standardised x and y minimise `losses.cca_loss`, −Σ ρₖ² of the
    canonical correlations ρ between f(x) and g(y) in a batch. Then everything is closed form over
    all kept rows: `transforms.cca` of the embeddings with the same `l2`, which makes u(x) and v(y)
    their canonical variates, and T(x) = ȳ + (u(x) − ū) B, the least squares prediction of y. Use
    `deep_variates` for retrieval.

    With 0 steps this is linear CCA of a random feature map. T may be far worse than that of `mlp`:
    the networks look for what both sides share, however little of y that explains. The paper
    trains on all rows at once; batches bias the correlations upwards, so keep `batch_size` several
    times `dim`. A batch that is larger than the number of kept rows is all of them, once each.

    Args:
      dim: Width of the embeddings, and so the number of canonical pairs. It may exceed the widths
        of x and y.
      hidden: Width of the hidden layers.
      depth: Number of hidden layers of each network, at least 1.
      l2: Relative penalty ≥ 0 of the loss and of the final CCA; may be traced. In float32 keep it
        at 1e-3 or above.
      tx: As for `learn`.
      num_steps: Number of steps.
      batch_size: Number of rows of a batch.
      seed: As for `learn`; may be traced.

    Returns:
      A `transforms.Transform` with parameters `DeepCCA`; it has no inverse. `fit` takes x [n, dx]
      and y [n, dy], `apply` x [*batch, dx].

    Raises:
      ValueError: If a number is out of range; from `fit` and `apply` as for `learn`.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.linspace(-1.0, 1.0, 100)[:, None]
      >>> linear = transforms.cca(dim=1).fit(x, jnp.abs(x))
      >>> params = jax.jit(deep_cca(dim=1, hidden=16, num_steps=200).fit)(x, jnp.abs(x))
      >>> print(linear.correlations[0] < 0.01, params.cca.correlations[0] > 0.95)
      True True

    References:
      Andrew et al., Deep Canonical Correlation Analysis, 2013.
    """
    options = Options(tx, num_steps, batch_size, seed)
    check_options("deep_cca", options)
    if dim < 1:
        raise ValueError(f"deep_cca: `dim` must be at least 1, got {dim}.")
    correlate = transforms.cca(dim=dim, l2=l2)
    regress = transforms.ridge(l2=0.0)

    def init(key: Array, dx: int, dy: int) -> tuple[nn.MLP, nn.MLP]:
        def network(key: Array, width: int) -> nn.MLP:
            return nn.MLP(width, hidden, dim, depth=depth, rngs=nnx.Rngs(key))

        return network(key, dx), network(jax.random.fold_in(key, 1), dy)

    def fit(
        x: Float[ArrayLike, "n dx"],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
    ) -> DeepCCA:
        x, y, keep = kept_pairs("deep_cca", x, y, where)
        # A batch goes round the kept rows; a second copy of some would only weigh them double.
        once = jnp.arange(batch_size) < jnp.sum(keep)

        def loss(weights: tuple[nn.MLP, nn.MLP], batch: Batch, key: Array) -> Float[Array, ""]:
            del key  # nothing is drawn
            return losses.cca_loss(*_embed(weights, batch), l2=l2, where=once)

        scales = fit_scale(x, keep), fit_scale(y, keep)
        rows = Batch(standardise(scales[0], x), standardise(scales[1], y))
        weights = widen(init(options.key(INIT), x.shape[1], y.shape[1]), x.dtype)
        weights, history = descend(loss, weights, rows, keep, options)
        embedded = _embed(weights, rows)
        canonical = correlate.fit(*embedded, keep)
        variates = transforms.canonical_variates(canonical, embedded[0], power=0.0)
        regression = regress.fit(variates, rows.y, keep)
        error = y - restore(scales[1], regress.apply(regression, variates))
        residual = covariance_of(error, keep)
        return DeepCCA(scales, weights, canonical, regression, residual, history)

    def apply(params: DeepCCA, x: Float[ArrayLike, "*batch dx"]) -> Float[Array, "*batch dy"]:
        x = check_width("deep_cca", "x", x, params.scales[0].mean.shape[0])
        variates = _variates(params, x, 0, 0.0)
        return restore(params.scales[1], regress.apply(params.regression, variates))

    return Transform(fit, apply)


def deep_variates(
    params: DeepCCA,
    z: Float[ArrayLike, "*batch d"],
    *,
    view: int = 0,
    power: Float[ArrayLike, ""] | float = 0.0,
) -> Float[Array, "*batch dim"]:
    """Coordinates of one side in the space that `deep_cca` makes both share, for retrieval.

    They are `transforms.canonical_variates` of the embeddings: compare them by cosine. Power 0
    gives the plain variates, of variance near 1; with more, variates that correlate little count
    little.

    Args:
      params: What the `fit` of `deep_cca` returned.
      z: Rows of side `view`, shape [*batch, d].
      view: 0 for the side called x in the fit, 1 for y.
      power: Exponent of the correlations by which the variates are multiplied.

    Returns:
      The variates, shape [*batch, dim], the most correlated first.

    Raises:
      ValueError: If `view` is neither 0 nor 1, or z has another width than that side.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> x = jnp.linspace(-1.0, 1.0, 100)[:, None]
      >>> params = jax.jit(deep_cca(dim=1, hidden=16, num_steps=200).fit)(x, jnp.abs(x))
      >>> zx, zy = deep_variates(params, x), deep_variates(params, jnp.abs(x), view=1)
      >>> print(jnp.mean(jnp.abs(zx - zy)) < 0.2)
      True
    """
    if view not in (0, 1):
        raise ValueError(f"deep_variates: `view` must be 0 (x) or 1 (y), got {view}.")
    z = check_width("deep_variates", "z", z, params.scales[view].mean.shape[0])
    return _variates(params, z, view, power)


def _embed(
    weights: tuple[nn.MLP, nn.MLP], rows: Batch
) -> tuple[Float[Array, "n dim"], Float[Array, "n dim"]]:
    return weights[0](rows.x), weights[1](rows.y)


def _variates(
    params: DeepCCA, z: Array, view: int, power: Float[ArrayLike, ""] | float
) -> Float[Array, "*batch dim"]:
    embedded = params.weights[view](standardise(params.scales[view], z))
    return transforms.canonical_variates(params.cca, embedded, view=view, power=power)
