"""From samples to feature vectors; everything that is fitted sees the training rows only."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from crossmodal_jax import features, numerics, preprocessing, transforms
from crossmodal_jax.data import Dataset
from crossmodal_jax.pipeline._config import FeatureConfig
from crossmodal_jax.pipeline._prepare import PICTURES, Prepared

_PICTURES_AT_ONCE = 256


class Reduction(NamedTuple):
    """How raw columns become features: chosen, rotated, brought to unit size.

    Attributes:
      selection: The columns that are kept.
      components: Their principal components.
      scale: Root mean square of the components over the training rows, a scalar.
    """

    selection: features.Selection
    components: transforms.PCA
    scale: Float[Array, ""]


class FeatureParams(NamedTuple):
    """All that `fit_features` learns from the training rows.

    Attributes:
      words: Weights of the words of a name.
      characters: Weights of the character n-grams of a name.
      reductions: For each modality but the properties, from raw columns to features.
      properties: Mean and scale of the properties.
    """

    words: features.Tfidf
    characters: features.Tfidf
    reductions: dict[str, Reduction]
    properties: preprocessing.Standardization


class Features(NamedTuple):
    """Feature vectors of all samples.

    Attributes:
      arrays: One array [n, d] for each modality; rows of absent entries are 0.
      present: Which pictures each sample has, shape [n, m].
    """

    arrays: dict[str, Float[Array, "n _"]]
    present: Bool[Array, "n m"]

    def pictures(self, rows: Any = slice(None)) -> list[Float[Array, "k _"]]:
        """The features of the pictures of some rows, one array [k, d] for each font."""
        return [self.arrays[name][rows] for name in PICTURES]


def extract(config: FeatureConfig, prepared: Prepared) -> tuple[FeatureParams, Features]:
    """Features of all samples, with everything fitted on the training rows.

    Pictures: histograms of oriented gradients beside smoothed pixels; of these columns those
    with the largest mean squared correlation with the features of the names are kept, then their
    principal components. Names: TF-IDF of hashed words and character n-grams; the columns of
    largest variance, then principal components. Outlines: points at equal distances, likewise.
    Properties: standardised. A modality's components share one scale, so that their variances
    keep their proportions.

    Args:
      config: Sizes (no arrays, no shapes).
      prepared: Samples and split.

    Returns:
      What was fitted, and the features of the n samples, arrays of shape [n, d].

    Examples:
      >>> from crossmodal_jax.pipeline import FeatureConfig, PrepareConfig, extract, prepare
      >>> samples = PrepareConfig(size=16, num_test=20, num_validation=20, max_samples=400)
      >>> config = FeatureConfig(cells=(4,), picture_dim=16, name_dim=8, character_columns=64)
      >>> _, found = extract(config, prepare(samples, seed=0))
      >>> found.arrays["sans"].shape, found.arrays["name"].shape
      ((400, 16), (400, 8))
    """
    raw = raw_features(config, prepared.dataset)
    params = fit_features(config, raw, prepared.dataset.present, prepared.rows("train"))
    arrays = apply_features(config, params, raw, prepared.dataset.present)
    return params, Features(arrays, jnp.asarray(prepared.present))


def raw_features(config: FeatureConfig, dataset: Dataset) -> dict[str, Any]:
    """Columns that depend on nothing but the sample itself.

    Args:
      config: Sizes (no arrays, no shapes).
      dataset: The n samples.

    Returns:
      By modality an array [n, d]; of the names a pair, counts of words and of n-grams.
    """
    names, outline = dataset.modalities["name"], dataset.modalities["outline"]
    words = features.hashed_ngrams(names, dim=config.word_columns, ngrams=(1, 1), analyzer="word")
    characters = features.hashed_ngrams(
        names, dim=config.character_columns, ngrams=config.character_ngrams
    )
    points = _resampled(outline["points"], outline["where"], length=config.outline_points)
    return {
        **{name: _picture_columns(dataset.modalities[name], config) for name in PICTURES},
        "name": (jnp.asarray(words), jnp.asarray(characters)),
        "outline": points.reshape(len(dataset), -1),
        "properties": jnp.asarray(dataset.modalities["properties"]),
    }


def fit_features(
    config: FeatureConfig,
    raw: dict[str, Any],
    present: dict[str, Bool[np.ndarray, "n"]],
    train: Bool[np.ndarray, "n"],
) -> FeatureParams:
    """Fits selections, components and scales on the training rows; no other row is read.

    Args:
      config: Sizes (no arrays, no shapes).
      raw: What `raw_features` returned for n samples.
      present: Mask of each modality, shape [n].
      train: Training rows, shape [n].

    Returns:
      The fitted parameters.
    """
    where = jnp.asarray(train)
    words, characters = (features.fit_tfidf(counts, where) for counts in raw["name"])
    terms = _terms(config, words, characters, raw["name"])
    reductions = {
        "name": _fit_reduction(terms, None, where, config.name_columns, config.name_dim),
        "outline": _fit_reduction(
            raw["outline"], None, where, config.outline_dim, config.outline_dim
        ),
    }
    names = _reduce(reductions["name"], terms)
    for name in PICTURES:
        rows = where & jnp.asarray(present[name])
        reductions[name] = _fit_reduction(
            raw[name], names, rows, config.picture_columns, config.picture_dim
        )
    properties = preprocessing.fit_standardization(raw["properties"], where)
    return FeatureParams(words, characters, reductions, properties)


def apply_features(
    config: FeatureConfig,
    params: FeatureParams,
    raw: dict[str, Any],
    present: dict[str, Bool[np.ndarray, "n"]],
) -> dict[str, Float[Array, "n _"]]:
    """Features of all rows by what was fitted.

    Args:
      config: Sizes (no arrays, no shapes).
      params: What `fit_features` returned.
      raw: What `raw_features` returned for n samples.
      present: Mask of each modality, shape [n].

    Returns:
      One array [n, d] for each modality; rows of absent entries are 0.
    """
    columns = raw | {"name": _terms(config, params.words, params.characters, raw["name"])}
    found = {name: _reduce(fitted, columns[name]) for name, fitted in params.reductions.items()}
    found["properties"] = preprocessing.standardize(params.properties, raw["properties"])
    return {name: numerics.zero_absent(x, jnp.asarray(present[name])) for name, x in found.items()}


@functools.partial(jax.jit, static_argnames="config")
def _picture_columns(pictures: Array, config: FeatureConfig) -> Float[Array, "n d"]:
    def describe(picture: Array) -> Array:
        gradients = [
            # There are more small cells than large ones; this keeps them from outweighing those.
            (cell / max(config.cells)) ** 0.5
            * features.hog(picture, orientations=config.orientations, cell=cell)
            for cell in config.cells
        ]
        return jnp.concatenate([*gradients, config.pixel_weight * _smoothed(picture).ravel()])

    return jax.lax.map(describe, pictures, batch_size=_PICTURES_AT_ONCE)


def _smoothed(picture: Float[Array, "h w"]) -> Float[Array, "h w"]:
    """The picture after the binomial filter [1, 2, 1] / 4 along both axes."""
    for axis in (0, 1):
        padded = jnp.pad(picture, [(1, 1) if a == axis else (0, 0) for a in (0, 1)])
        size = picture.shape[axis]
        before, here, after = (
            jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3)
        )
        picture = (before + 2 * here + after) / 4
    return picture


@functools.partial(jax.jit, static_argnames="length")
def _resampled(points: Array, where: Array, length: int) -> Float[Array, "n length c"]:
    return features.resample_trajectory(points, where, length=length, coordinates=2)


@functools.partial(jax.jit, static_argnames="config")
def _terms(
    config: FeatureConfig, words: features.Tfidf, characters: features.Tfidf, counts: Any
) -> Float[Array, "n d"]:
    """Weighted words and n-grams side by side; both rows have unit length before weighting."""
    return jnp.concatenate(
        [
            features.tfidf(words, counts[0]),
            config.character_weight * features.tfidf(characters, counts[1], sublinear=True),
        ],
        axis=1,
    )


@functools.partial(jax.jit, static_argnames=("columns", "dim"))
def _fit_reduction(
    x: Array, targets: Array | None, where: Array, columns: int, dim: int
) -> Reduction:
    columns = min(columns, x.shape[1])
    selection = features.fit_selection(x, targets, k=columns, where=where)
    chosen = features.select(selection, x)
    transform = transforms.pca(dim=min(dim, columns), solver="subspace")
    components = transform.fit(chosen, where=where)
    # The mean square over the components, so that a typical entry of a feature is near 1.
    scale = jnp.sqrt(jnp.mean(components.variances))
    return Reduction(selection, components, jnp.where(scale > 0, scale, 1))


@jax.jit
def _reduce(params: Reduction, x: Array) -> Float[Array, "n k"]:
    chosen = features.select(params.selection, x)
    return transforms.pca(dim=1).apply(params.components, chosen) / params.scale
