import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax.features import resample_trajectory

resample = jax.jit(resample_trajectory, static_argnames=("length", "coordinates"))


def resample_numpy(points, where, length, coordinates=None):
    points = np.asarray(points, np.float64)[where]
    if not len(points):
        return np.zeros((length, points.shape[1]))
    steps = np.linalg.norm(np.diff(points[:, :coordinates], axis=0), axis=1)
    position = np.concatenate([[0], np.cumsum(steps)])
    sample = np.linspace(0, position[-1], length)
    return np.stack([np.interp(sample, position, channel) for channel in points.T], 1)


@pytest.mark.parametrize("coordinates", [None, 2])
@pytest.mark.parametrize("length", [1, 2, 33])
def test_matches_numpy(length, coordinates):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(6, 15, 3)).astype(np.float32)
    where = rng.uniform(size=(6, 15)) < 0.7
    where[0] = True
    where[1] = np.arange(15) < 9  # padded at the end
    where[2] = np.arange(15) >= 4  # padded at the start
    where[3] = False
    where[4] = np.arange(15) == 7  # one point
    hostile = np.where(where[..., None], points, np.nan)
    expected = [
        resample_numpy(p, w, length, coordinates) for p, w in zip(points, where, strict=True)
    ]
    got = resample(hostile, where, length=length, coordinates=coordinates)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, expected, atol=2e-5)  # positions add up 14 float32 steps
    assert not got[3].any()
    np.testing.assert_array_equal(got[4], np.tile(points[4, 7], (length, 1)))


@pytest.mark.parametrize("t", [1, 2, 5])
def test_repeated_points_and_short_lines(strict, t):
    points = jnp.ones((t, 2))
    np.testing.assert_array_equal(resample(points, length=4), np.ones((4, 2)))
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(resample(p, length=4))))(points)
    assert jnp.isfinite(gradient).all()


def test_independent_of_how_densely_the_line_was_drawn():
    corner = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]], np.float32)
    dense = np.concatenate([np.linspace(a, b, 9)[:-1] for a, b in itertools.pairwise(corner)])
    dense = np.concatenate([dense, corner[-1:]]).astype(np.float32)
    got = resample(dense, length=11)
    np.testing.assert_allclose(got, resample(corner, length=11), atol=1e-6)
    steps = np.linalg.norm(np.diff(resample(corner, length=5), axis=0), axis=1)
    np.testing.assert_allclose(steps, 1.0, atol=1e-6)


def test_gradient_is_exact_and_ignores_dropped_points(x64):
    points = jnp.asarray(np.random.default_rng(1).normal(size=(7, 2)))
    where = jnp.asarray([True, True, False, True, True, True, False])
    check_grads(lambda p: resample(p, where, length=6), (points,), order=1, modes=["rev"])
    hostile = jnp.where(where[:, None], points, jnp.nan)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(resample(p, where, length=6))))(hostile)
    assert jnp.isfinite(gradient).all()
    assert not gradient[~where].any()


def test_batch_axes_and_one_compilation():
    points = np.random.default_rng(2).normal(size=(2, 3, 8, 2)).astype(np.float32)
    batched = jax.jit(lambda p: resample_trajectory(p, length=5))
    got = batched(points)
    batched(points)
    assert batched._cache_size() == 1
    assert got.shape == (2, 3, 5, 2)
    np.testing.assert_allclose(got[1, 2], resample(points[1, 2], length=5), atol=1e-6)


def test_errors(no_jaxtyping):
    with pytest.raises(ValueError, match=r"must be \[\*batch, t, c\] with t >= 1, got .*\(0, 2\)"):
        resample_trajectory(jnp.zeros((0, 2)), length=3)
    with pytest.raises(ValueError, match="got length=0"):
        resample_trajectory(jnp.zeros((4, 2)), length=0)
    with pytest.raises(ValueError, match="coordinates=3"):
        resample_trajectory(jnp.zeros((4, 2)), length=2, coordinates=3)
    with pytest.raises(ValueError, match=r"where.shape=\(3,\)"):
        resample_trajectory(jnp.zeros((4, 2)), jnp.ones(3, bool), length=2)
