"""Y = T(F(X)): a fusion operator and a transform as one, in closed form or trained together."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_choice, check_modalities, check_present, check_where
from crossmodal_jax._typing import ArrayLike, PyTree
from crossmodal_jax.fusion import Operator
from crossmodal_jax.learned._engine import INIT, Options, check_options, descend, widen
from crossmodal_jax.learned._learn import covariance_of
from crossmodal_jax.learned._scale import Scale, fit_scale, restore, standardise
from crossmodal_jax.transforms import Transform

_MODES = ("closed_form", "stagewise", "joint")
# Elsewhere a column is a variance or a probability, which has a unit already.
_STANDARDISED = ("vectors", "tokens")


class Composed(NamedTuple):
    """Parameters of `compose`.

    Attributes:
      scales: Mean and standard deviation of the columns of each modality, shapes [d_m].
      scale_y: Mean and standard deviation of the columns of y, shapes [dy].
      operator: Weights of the fusion F.
      transform: Parameters of the transform T, from F(X) to standardised y. A residual that T keeps
        of its own is from before joint training.
      residual: Covariance of y − T(F(X)) over the fitted rows, shape [dy, dy].
      losses: The loss of each step before it was taken, shape [num_steps]; none in closed form.
    """

    scales: tuple[Scale, ...]
    scale_y: Scale
    operator: PyTree
    transform: PyTree
    residual: Float[Array, "dy dy"]
    losses: Float[Array, "num_steps"]


class _Rows(NamedTuple):
    xs: tuple[Array, ...]
    present: Array
    y: Array


def compose(
    operator: Operator,
    transform: Transform,
    *,
    dim: int,
    train: str = "joint",
    tx: optax.GradientTransformation | None = None,
    num_steps: int = 1000,
    batch_size: int = 128,
    seed: Int[ArrayLike, ""] | int = 0,
) -> Transform:
    """Y = T(F(X)): several modalities, any of which may be absent, fused and transformed.

    Modalities and y are standardised by the rows of the fit (a modality by those that have it; of
    operators on distributions and decisions only y). Then F gets its initial weights and T is
    fitted to F(X) in closed form. `train` says what follows:

    - `"closed_form"`: nothing. F is a fixed random feature map, and T the optimum on top of it.
    - `"stagewise"`: the weights of F are trained with T as it is, then T is fitted once more. T is
      its closed form on what F has learned, and so keeps what T promises.
    - `"joint"`: the weights of F and the parameters of T are trained together. T is then no
      longer a closed form: an orthogonal map, say, need not stay orthogonal.

    What is minimised is the mean square of y − T(F(X)) in units of the standard deviations of y.
    With `num_steps=0` all three are the same.

    Args:
      operator: The fusion F, of `fusion.OPERATORS`. One without weights leaves T alone to train.
      transform: The transform T, which predicts y: closed form, such as `transforms.ridge`, or
        learned, whose own training then comes first.
      dim: Width of F(X), unless the operator fixes it itself.
      train: `"joint"`, `"stagewise"` or `"closed_form"`.
      tx: As for `learn`.
      num_steps: Number of steps.
      batch_size: Number of rows of a batch.
      seed: As for `learn`; may be traced.

    Returns:
      A `transforms.Transform` with parameters `Composed`; it has no inverse.
      `fit(xs, y, where=None, *, present=None)` takes one array per modality, shapes [n, d_m]
      ([n, t_m, d_m] for tokens), y [n, dy], and `present`, which broadcasts to [n, m];
      `apply(params, xs, *, present=None)` takes them with any leading axes. What an absent entry
      or a dropped row holds is irrelevant.

    Raises:
      ValueError: If `train` or a number is out of range; from `fit` and `apply` if y is missing,
        the rows differ, or the modalities are not as fitted.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from crossmodal_jax import fusion, transforms
      >>> x1, x2 = jax.random.normal(jax.random.key(0), (2, 100, 3))
      >>> xs, y = [x1, x2], x1 * x2
      >>> operator = fusion.OPERATORS["low_rank"]
      >>> for train in ("closed_form", "joint"):
      ...     t = compose(operator, transforms.ridge(), dim=8, train=train, num_steps=300)
      ...     params = jax.jit(t.fit)(xs, y)
      ...     print(train, jnp.trace(params.residual) < 1)
      closed_form False
      joint True
    """
    options = Options(tx, num_steps, batch_size, seed)
    check_options("compose", options)
    check_choice("compose", "train", train, _MODES)
    if not isinstance(operator, Operator):
        raise ValueError(
            "compose: `operator` must be a fusion.Operator, got "
            f"{type(operator).__name__}; take one from fusion.OPERATORS."
        )
    scaled = operator.kind in _STANDARDISED

    def fuse(weights: PyTree, rows: _Rows) -> Array:
        return operator.apply(rows.xs, weights, present=rows.present)

    def fit(
        xs: Sequence[Float[ArrayLike, "..."]],
        y: Float[ArrayLike, "n dy"] | None = None,
        where: Bool[ArrayLike, "n"] | None = None,
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Composed:
        raw, keep = _kept_rows(operator, xs, y, where, present)
        scales = tuple(
            fit_scale(x, keep & raw.present[:, m]) if scaled else _unit(x)
            for m, x in enumerate(raw.xs)
        )
        scale_y = fit_scale(raw.y, keep)
        rows = raw._replace(xs=_standardised(scales, raw), y=standardise(scale_y, raw.y))
        dims = [x.shape[-1] for x in raw.xs]
        weights = widen(operator.init(options.key(INIT), dims, dim), raw.y.dtype)
        start = transform.fit(fuse(weights, rows), rows.y, keep)
        losses = jnp.zeros(0, raw.y.dtype)
        if train == "stagewise" and num_steps > 0:
            loss = _squared_error(transform, fuse, lambda weights: (weights, start))
            weights, losses = descend(loss, weights, rows, keep, options)
            start = transform.fit(fuse(weights, rows), rows.y, keep)
        if train == "joint":
            floats, join = _split_floats(start)
            loss = _squared_error(transform, fuse, lambda both: (both[0], join(both[1])))
            (weights, floats), losses = descend(loss, (weights, floats), rows, keep, options)
            start = join(floats)
        error = raw.y - restore(scale_y, transform.apply(start, fuse(weights, rows)))
        return Composed(scales, scale_y, weights, start, covariance_of(error, keep), losses)

    def apply(
        params: Composed,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
    ) -> Float[Array, "*batch dy"]:
        rows = _checked(operator, xs, present)
        _check_widths(params, rows.xs)
        rows = rows._replace(xs=_standardised(params.scales, rows))
        return restore(
            params.scale_y, transform.apply(params.transform, fuse(params.operator, rows))
        )

    return Transform(fit, apply)


def _squared_error(
    transform: Transform,
    fuse: Callable[[PyTree, _Rows], Array],
    split: Callable[[PyTree], tuple[PyTree, PyTree]],
) -> Callable[[PyTree, _Rows, Array], Float[Array, ""]]:
    """The loss of what is trained, of which `split` makes weights of F and parameters of T."""

    def loss(trained: PyTree, batch: _Rows, key: Array) -> Float[Array, ""]:
        del key  # nothing is drawn
        weights, params = split(trained)
        return jnp.mean(jnp.square(batch.y - transform.apply(params, fuse(weights, batch))))

    return loss


def _split_floats(tree: PyTree) -> tuple[list[Array], Callable[[Sequence[Array]], PyTree]]:
    """The leaves that have a gradient, and what puts others in their place."""
    leaves, structure = jax.tree.flatten(tree)
    floats = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating)]

    def join(values: Sequence[Array]) -> PyTree:
        filled = list(leaves)
        for i, value in zip(floats, values, strict=True):
            filled[i] = value
        return jax.tree.unflatten(structure, filled)

    return [leaves[i] for i in floats], join


def _kept_rows(
    operator: Operator, xs: Any, y: Any, where: Any, present: Any
) -> tuple[Any, Bool[Array, "n"]]:
    """Rows of one dtype, float32 at least, zeros where dropped or absent; and which are kept."""
    if y is None:
        raise ValueError("compose: `fit` must have both sides of the pairs, got only xs; pass y.")
    rows, y = _checked(operator, xs, present), jnp.asarray(y)
    if y.ndim != 2 or rows.present.shape[:-1] != y.shape[:1]:
        shapes = [x.shape for x in rows.xs]
        raise ValueError(
            "compose: every modality and `y` must have the same number of rows, got shapes "
            f"{shapes} and y.shape={y.shape}; row i of each must be the same sample."
        )
    keep = check_where("compose", where, y.shape[:1])
    dtype = np.dtype(np.float32)
    for array in (*rows.xs, y):
        dtype = np.promote_types(dtype, array.dtype)
    xs = tuple(
        numerics.zero_absent(x, keep & rows.present[:, m]).astype(dtype)
        for m, x in enumerate(rows.xs)
    )
    return _Rows(xs, rows.present, numerics.zero_absent(y, keep).astype(dtype)), keep


def _checked(operator: Operator, xs: Any, present: Any) -> _Rows:
    rank = 2 if operator.kind == "tokens" else 1
    xs = check_modalities("compose", xs, rank=rank)
    mask = check_present("compose", present, xs, rank=rank)
    xs = tuple(jnp.broadcast_to(x, (*mask.shape[:-1], *x.shape[-rank:])) for x in xs)
    return _Rows(xs, mask, jnp.zeros(()))


def _check_widths(params: Composed, xs: Sequence[Array]) -> None:
    expected = [scale.mean.shape[0] for scale in params.scales]
    if [x.shape[-1] for x in xs] != expected:
        raise ValueError(
            f"compose: `xs` must have the widths {expected} as fitted, got "
            f"{[x.shape[-1] for x in xs]}; mark missing modalities with `present`."
        )


def _standardised(scales: Sequence[Any], rows: _Rows) -> tuple[Array, ...]:
    """Modalities in units of their standard deviation, zeros where absent."""
    return tuple(
        standardise(scale, numerics.zero_absent(x, rows.present[..., m]))
        for m, (scale, x) in enumerate(zip(scales, rows.xs, strict=True))
    )


def _unit(x: Array) -> Scale:
    return Scale(jnp.zeros(x.shape[-1], x.dtype), jnp.ones(x.shape[-1], x.dtype))
