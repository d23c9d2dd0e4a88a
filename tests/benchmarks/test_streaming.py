"""The streamed fits of the benchmark suite: their rows, and what they must equal."""

import functools

import jax
import numpy as np
import pytest

from crossmodal_jax import transforms

SIZE, CHUNKS, DX, DY = 50, 6, 12, 9
RIDGE, CCA = transforms.ridge(l2=1e-2), transforms.cca(dim=4, l2=1e-2)
each_transform = pytest.mark.parametrize("transform", [RIDGE, CCA], ids=["ridge", "cca"])


@each_transform
def test_streamed_fit_is_the_fit_of_all_rows(transform, load):
    streaming = load("cases_streaming")
    inputs = streaming.inputs(DX, DY, CHUNKS)
    fit = jax.jit(functools.partial(streaming.fit, transform, size=SIZE))
    x, y = streaming.all_rows(*inputs, size=SIZE)
    assert x.shape == (CHUNKS * SIZE, DX)
    params = jax.jit(transform.fit)(x, y)
    shown = transform.apply(params, x[: streaming.SHOWN])
    predicted, residual = fit(*inputs)
    np.testing.assert_allclose(predicted[:SIZE], shown[:SIZE], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(residual, params.residual, rtol=1e-5, atol=1e-5)
    # One more chunk is another fit, by the same program.
    seed, _, *planted = inputs
    other, _ = fit(seed, np.int32(CHUNKS + 1), *planted)
    assert np.abs(other - predicted).max() > 1e-4
    assert fit._cache_size() == 1


@each_transform
def test_reference_is_the_fit_of_all_rows(transform, load, x64):
    streaming, references = load("cases_streaming"), load("references")
    reference = references.ridge_fit(1e-2) if transform is RIDGE else references.cca_fit(1e-2, 4)
    inputs = streaming.inputs(DX, DY, CHUNKS)
    predicted, residual = streaming.fit_in_memory(reference, *inputs, size=SIZE)
    rows = streaming.all_rows(*inputs, size=SIZE)
    x, y = (side.astype(np.float64) for side in rows)
    params = jax.jit(transform.fit)(x, y)
    shown = transform.apply(params, x[: streaming.SHOWN])
    np.testing.assert_allclose(predicted, shown, rtol=1e-9)
    np.testing.assert_allclose(residual, params.residual, rtol=1e-9, atol=1e-12)


def test_rows_are_planted_and_do_not_depend_on_the_chunks(load):
    streaming = load("cases_streaming")
    seed, num_chunks, left, right = streaming.inputs(DX, DY, 8)
    x, y = streaming.all_rows(seed, num_chunks, left, right, size=1000)
    again = streaming.all_rows(seed, 2 * num_chunks, left, right, size=500)
    np.testing.assert_allclose(x, again[0], rtol=1e-6)
    np.testing.assert_allclose(y, again[1], rtol=1e-5, atol=1e-5)
    deviation = 1 / (1 + np.arange(DX) / 16)
    error = 5 / np.sqrt(len(x))  # five standard errors
    np.testing.assert_allclose(x.mean(0), streaming.MEAN, atol=error)
    np.testing.assert_allclose(x.std(0), deviation, rtol=error)
    noise = y + streaming.MEAN - (x - streaming.MEAN) @ left @ right
    np.testing.assert_allclose(noise.mean(0), 0, atol=error)
    np.testing.assert_allclose(noise.std(0), deviation[:DY], rtol=error)
    both = np.hstack([x, noise])
    correlations = np.corrcoef(both.T) - np.eye(DX + DY)
    assert np.abs(correlations).max() < error
    lagged = np.corrcoef(both[:-1].T, both[1:].T)[: DX + DY, DX + DY :]
    assert np.abs(lagged).max() < error
    other, _ = streaming.all_rows(seed + 1, num_chunks, left, right, size=1000)
    assert abs(np.corrcoef(other[:, 0], x[:, 0])[0, 1]) < error


@each_transform
def test_memory_holds_a_few_chunks_at_most(transform, load):
    streaming = load("cases_streaming")
    shapes = jax.eval_shape(lambda: streaming.inputs(DX, DY, 1_000_000))
    fit = jax.jit(functools.partial(streaming.fit, transform, size=4096))
    # How many chunks there are is an input: the program cannot depend on it.
    temp_bytes = fit.lower(*shapes).compile().memory_analysis().temp_size_in_bytes
    assert temp_bytes < 6 * 4 * 4096 * (DX + DY)
