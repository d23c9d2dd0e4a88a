"""Closed-form T from one picture, and from the fusion of three; validation chooses the options."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import fusion, kernels, metrics, numerics, transforms
from crossmodal_jax.pipeline._config import ClosedFormConfig
from crossmodal_jax.pipeline._extract import Features
from crossmodal_jax.pipeline._prepare import PICTURES, Prepared

METHODS = ("cca", "ridge")


class ClosedForm(NamedTuple):
    """A fitted closed-form retrieval model.

    Attributes:
      method: One of `METHODS`.
      sources: The pictures it fuses.
      params: Parameters of the transform.
      options: What validation chose.
      validation: Recall at 1 on the validation characters with these options.
    """

    method: str
    sources: tuple[str, ...]
    params: transforms.CCA | transforms.Ridge
    options: dict[str, Any]
    validation: float

    def encode_sources(
        self, xs: Sequence[Float[Array, "n _"]], present: Bool[Array, "n m"]
    ) -> Float[Array, "n d"]:
        """Embeds samples by their pictures, [n, d_m] in the order of `PICTURES`."""
        fused = _fuse(xs, present, self.sources)
        return _encode_sources(self.params, fused, self.options.get("power"))

    def encode_target(self, y: Float[Array, "n d_y"]) -> Float[Array, "n d"]:
        """Embeds names, where the embeddings of the pictures are."""
        return _encode_target(self.params, y, self.options.get("power"))


def fit_closed_form(
    config: ClosedFormConfig,
    prepared: Prepared,
    features: Features,
    *,
    method: str,
    sources: Sequence[str],
) -> ClosedForm:
    """Fits T from some pictures to names.

    Several pictures are fused by concatenation with zeros for absent ones. Each combination of
    options is fitted on the training rows and scored by recall at 1 among the validation
    characters; the best is fitted again on both. Among the options are the penalty, the dimension
    of the canonical space, and which rows to fit on: those with all the pictures or those with
    any.

    Args:
      config: Values to try (no arrays, no shapes).
      prepared: Samples and split.
      features: Feature vectors of all samples.
      method: `"cca"`, whose canonical variates are compared, or `"ridge"`, whose prediction of
        the name's features is compared with those.
      sources: Pictures to fuse, some of `PICTURES`.

    Returns:
      The model with the best options.

    Raises:
      ValueError: If `method` is unknown.
    """
    x = _fuse(features.pictures(), features.present, sources)
    y = features.arrays["name"]
    validation = prepared.split["validation"]
    best: tuple[float, dict[str, Any]] = (-1.0, {})
    for rows, l2 in itertools.product(*_options(config, method, sources)):
        train = _rows(prepared, features, sources, rows, "train")
        for space, params in _solutions(config, method, _moments(x, y, train), l2):
            score = float(_recall(params, x[validation], y[validation], space.get("power")))
            if score > best[0]:
                best = score, {"rows": rows, "l2": l2, **space}
    score, options = best
    both = _rows(prepared, features, sources, options["rows"], "train", "validation")
    solutions = _solutions(config, method, _moments(x, y, both), options["l2"])
    (params,) = (params for space, params in solutions if space.items() <= options.items())
    return ClosedForm(method, tuple(sources), params, options, score)


def fit_translation(
    config: ClosedFormConfig, prepared: Prepared, features: Features, *, source: str, target: str
) -> tuple[transforms.Ridge, float]:
    """Fits ridge regression from the features of one picture to the pixels of another.

    Args:
      config: Penalties to try; validation chooses (no arrays, no shapes).
      prepared: Samples and split.
      features: Feature vectors of all samples.
      source: The picture to translate from.
      target: The picture to translate into.

    Returns:
      The parameters, fitted on training and validation rows that have both, and the penalty.
    """
    x = features.arrays[source]
    pictures = prepared.dataset.modalities[target]
    y = jnp.asarray(pictures.reshape(len(pictures), -1))
    validation = prepared.split["validation"]
    moments = _moments(x, y, _rows(prepared, features, (source, target), "complete", "train"))

    def score(l2: float) -> float:
        predicted = predict_picture(_solve_ridge(moments, l2), x[validation])
        return float(metrics.r2_score(predicted, y[validation], average="variance"))

    l2 = max(config.ridge_l2, key=score)
    both = _rows(prepared, features, (source, target), "complete", "train", "validation")
    return _solve_ridge(_moments(x, y, both), l2), l2


def predict_picture(params: transforms.Ridge, x: Float[Array, "n d"]) -> Float[Array, "n p"]:
    """Pixels predicted from features, kept within [0, 1] as ink is."""
    return jnp.clip(transforms.ridge().apply(params, x), 0, 1)


def _options(
    config: ClosedFormConfig, method: str, sources: Sequence[str]
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    if method not in METHODS:
        raise ValueError(
            f"fit_closed_form: `method` must be one of {METHODS}, got {method!r}; choose one."
        )
    rows = ("complete", "any") if len(sources) > 1 else ("complete",)
    return rows, config.cca_l2 if method == "cca" else config.ridge_l2


def _rows(
    prepared: Prepared, features: Features, sources: Sequence[str], rows: str, *parts: str
) -> Bool[Array, "n"]:
    chosen = np.array([PICTURES.index(name) for name in sources])
    has = features.present[:, chosen]
    kept = jnp.all(has, axis=1) if rows == "complete" else jnp.any(has, axis=1)
    return kept & jnp.asarray(prepared.rows(*parts))


def _solutions(
    config: ClosedFormConfig, method: str, moments: numerics.JointMoments, l2: float
) -> Iterator[tuple[dict[str, Any], Any]]:
    """The parameters for one penalty; of CCA, one solution serves every canonical space."""
    if method == "ridge":
        yield {}, _solve_ridge(moments, l2)
        return
    largest = min(*(len(mean) for mean in moments.means), max(config.dims))
    params = _solve_cca(moments, l2, dim=largest)
    dims = sorted({min(dim, largest) for dim in config.dims})
    for dim, power in itertools.product(dims, config.cca_powers):
        yield {"dim": dim, "power": power}, _leading(params, dim)


def _leading(params: transforms.CCA, dim: int) -> transforms.CCA:
    return params._replace(
        kernels=tuple(kernel[:, :dim] for kernel in params.kernels),
        loadings=tuple(loading[:, :dim] for loading in params.loadings),
        correlations=params.correlations[:dim],
    )


def _fuse(
    xs: Sequence[Float[Array, "n _"]], present: Bool[Array, "n m"], sources: Sequence[str]
) -> Float[Array, "n d"]:
    chosen = [PICTURES.index(name) for name in sources]
    if len(chosen) == 1:
        return xs[chosen[0]]
    return fusion.concat([xs[m] for m in chosen], present=present[:, np.array(chosen)])


def _encode_sources(params: Any, x: Float[Array, "n d_x"], power: Any) -> Float[Array, "n d"]:
    if isinstance(params, transforms.CCA):
        return numerics.normalize(transforms.canonical_variates(params, x, view=0, power=power))
    return numerics.normalize(transforms.ridge().apply(params, x) - params.offset)


def _encode_target(params: Any, y: Float[Array, "n d_y"], power: Any) -> Float[Array, "n d"]:
    if isinstance(params, transforms.CCA):
        return numerics.normalize(transforms.canonical_variates(params, y, view=1, power=power))
    return numerics.normalize(y - params.offset)


@jax.jit
def _moments(x: Array, y: Array, where: Array) -> numerics.JointMoments:
    return numerics.moments((x, y), where=where)


@functools.partial(jax.jit, static_argnames="dim")
def _solve_cca(
    moments: numerics.JointMoments, l2: Float[Array, ""] | float, dim: int
) -> transforms.CCA:
    return transforms.cca(dim=dim, l2=l2).solve(moments)  # pyright: ignore[reportOptionalCall]


@jax.jit
def _solve_ridge(moments: numerics.JointMoments, l2: Float[Array, ""] | float) -> transforms.Ridge:
    return transforms.ridge(l2=l2).solve(moments)  # pyright: ignore[reportOptionalCall]


@jax.jit
def _recall(params: Any, x: Array, y: Array, power: Any) -> Float[Array, ""]:
    queries, gallery = _encode_sources(params, x, power), _encode_target(params, y, power)
    counts = kernels.rank_counts(queries, gallery)
    return jnp.mean(metrics.recall_at_k(counts, 1))
