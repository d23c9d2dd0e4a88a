"""Closed-form retrieval: what is fitted on, what validation chooses, NumPy as the oracle."""

import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import pipeline
from crossmodal_jax.pipeline import PICTURES
from crossmodal_jax.pipeline._closed_form import fit_closed_form


def _changed(features, rows):
    arrays = {name: x.at[rows].set(7.0) for name, x in features.arrays.items()}
    return features._replace(arrays=arrays)


def test_ridge_is_that_of_numpy(tiny, prepared, features):
    model = fit_closed_form(
        tiny.closed_form, prepared, features, method="ridge", sources=("serif",)
    )
    rows = prepared.rows("train", "validation") & prepared.dataset.present["serif"]
    x = np.asarray(features.arrays["serif"], np.float64)[rows]
    y = np.asarray(features.arrays["name"], np.float64)[rows]
    centred = x - x.mean(axis=0)
    gram = centred.T @ centred / len(x)
    penalty = 0.1 * np.trace(gram) / len(gram) * np.eye(len(gram))
    kernel = np.linalg.solve(gram + penalty, centred.T @ (y - y.mean(axis=0)) / len(x))
    np.testing.assert_allclose(model.params.kernel, kernel, atol=1e-4)
    test = prepared.split["test"]
    z = (np.asarray(features.arrays["serif"], np.float64)[test] - x.mean(axis=0)) @ kernel
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    encoded = model.encode_sources(features.pictures(test), features.present[test])
    np.testing.assert_allclose(encoded, z, atol=1e-4)


@pytest.mark.parametrize("sources", [("sans",), PICTURES])
@pytest.mark.parametrize("method", ["cca", "ridge"])
def test_test_rows_are_not_read(tiny, prepared, features, method, sources):
    options = {"method": method, "sources": sources}
    model = fit_closed_form(tiny.closed_form, prepared, features, **options)
    other = fit_closed_form(
        tiny.closed_form, prepared, _changed(features, prepared.split["test"]), **options
    )
    assert other.options == model.options
    np.testing.assert_array_equal(
        other.params.means[0] if method == "cca" else other.params.mean,
        model.params.means[0] if method == "cca" else model.params.mean,
    )


def test_validation_chooses(prepared, features):
    scores = {}
    for dim in (1, 8):
        config = pipeline.ClosedFormConfig(dims=(dim,), cca_powers=(1.0,), cca_l2=(0.1,))
        model = fit_closed_form(config, prepared, features, method="cca", sources=("sans",))
        assert model.options["dim"] == dim
        assert model.encode_target(features.arrays["name"]).shape == (300, dim)
        scores[dim] = model.validation
    config = pipeline.ClosedFormConfig(dims=(1, 8), cca_powers=(1.0,), cca_l2=(0.1,))
    model = fit_closed_form(config, prepared, features, method="cca", sources=("sans",))
    assert scores[8] > scores[1]
    assert (model.options["dim"], model.validation) == (8, scores[8])


def test_a_single_source_ignores_the_others(tiny, prepared, features):
    model = fit_closed_form(tiny.closed_form, prepared, features, method="cca", sources=("mono",))
    test = prepared.split["test"]
    xs, present = features.pictures(test), features.present[test]
    noise = [jnp.full_like(x, jnp.nan) for x in xs[:2]]
    np.testing.assert_array_equal(
        model.encode_sources([*noise, xs[2]], present), model.encode_sources(xs, present)
    )


def test_fusion_ignores_absent_payload(tiny, prepared, features):
    model = fit_closed_form(tiny.closed_form, prepared, features, method="cca", sources=PICTURES)
    test = prepared.split["test"]
    xs = features.pictures(test)
    present = jnp.broadcast_to(jnp.array([True, False, True]), (len(test), 3))
    broken = [xs[0], jnp.full_like(xs[1], jnp.nan), xs[2]]
    encoded = model.encode_sources(broken, present)
    assert np.isfinite(encoded).all()
    np.testing.assert_array_equal(encoded, model.encode_sources(xs, present))


def test_unknown_method(tiny, prepared, features):
    with pytest.raises(ValueError, match="`method` must be one of"):
        fit_closed_form(tiny.closed_form, prepared, features, method="cac", sources=("sans",))
