"""Features: nothing but training rows is fitted on, absent entries are zero."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import pipeline
from crossmodal_jax.pipeline import _extract


def _with_other_payload(prepared, mask):
    """The same samples with everything about the rows of `mask` replaced."""
    rng = np.random.default_rng(0)
    modalities = {}
    for name, tree in prepared.dataset.modalities.items():
        if name == "name":
            modalities[name] = np.where(mask, "SOMETHING ELSE ENTIRELY", tree)
        elif name == "outline":
            noise = rng.normal(size=tree["points"].shape).astype(np.float32)
            points = np.where(mask[:, None, None], noise, tree["points"])
            modalities[name] = {"points": points, "where": tree["where"]}
        else:
            noise = rng.random(tree.shape, np.float32)
            modalities[name] = np.where(mask.reshape(-1, *[1] * (tree.ndim - 1)), noise, tree)
    dataset = dataclasses.replace(prepared.dataset, modalities=modalities)
    return prepared._replace(dataset=dataset)


@pytest.fixture(scope="module")
def fitted(tiny, prepared):
    return pipeline.extract(tiny.features, prepared)


def test_what_is_fitted_depends_on_training_rows_only(tiny, prepared, fitted):
    params, features = fitted
    other = _with_other_payload(prepared, prepared.rows("validation", "test"))
    other_params, other_features = pipeline.extract(tiny.features, other)
    jax.tree.map(np.testing.assert_array_equal, other_params, params)
    train = prepared.rows("train")
    for name, x in features.arrays.items():
        np.testing.assert_array_equal(other_features.arrays[name][train], x[train])
        assert (np.asarray(other_features.arrays[name][~train]) != x[~train]).any(axis=1).all()


def test_training_rows_do_matter(tiny, prepared, fitted):
    other = _with_other_payload(prepared, prepared.rows("train"))
    other_params, _ = pipeline.extract(tiny.features, other)
    for name, reduction in fitted[0].reductions.items():
        changed = other_params.reductions[name].components.mean
        assert (np.asarray(changed) != reduction.components.mean).any()


def test_absent_payload_does_not_matter(tiny, prepared, fitted):
    pictures = {
        name: np.where(
            prepared.dataset.present[name][:, None, None],
            prepared.dataset.modalities[name],
            np.float32(1e30),
        )
        for name in pipeline.PICTURES
    }
    dataset = dataclasses.replace(
        prepared.dataset, modalities=prepared.dataset.modalities | pictures
    )
    params, features = pipeline.extract(tiny.features, prepared._replace(dataset=dataset))
    jax.tree.map(np.testing.assert_array_equal, params, fitted[0])
    jax.tree.map(np.testing.assert_array_equal, features, fitted[1])


def test_scale_and_absence(tiny, prepared, fitted):
    train = prepared.rows("train")
    arrays = fitted[1].arrays
    for name in (*pipeline.PICTURES, "name", "outline"):
        here = prepared.dataset.present[name]
        x = np.asarray(arrays[name], np.float64)
        # Rounding of a mean over hundreds of float32 numbers of size 1.
        np.testing.assert_allclose(x[train & here].mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(np.square(x[train & here]).mean(), 1, rtol=1e-3)
        assert (x[~here] == 0).all()
    table = np.asarray(arrays["properties"], np.float64)[train]
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-4)


def test_components_span_what_numpy_finds(tiny, prepared, fitted):
    raw = _extract.raw_features(tiny.features, prepared.dataset)["sans"]
    reduction = fitted[0].reductions["sans"]
    x = np.asarray(raw, np.float64)[:, np.asarray(reduction.selection.indices)]
    x = x[prepared.rows("train")]
    variances = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1][: tiny.features.picture_dim]
    # Iterated from a random start in float32.
    np.testing.assert_allclose(reduction.components.variances, variances, rtol=1e-2)


def test_smoothing_keeps_ink():
    picture = np.zeros((5, 5), np.float32)
    picture[2, 2] = 16
    expected = np.zeros((5, 5))
    expected[1:4, 1:4] = np.outer([1, 2, 1], [1, 2, 1])
    np.testing.assert_allclose(_extract._smoothed(jnp.asarray(picture)), expected)
