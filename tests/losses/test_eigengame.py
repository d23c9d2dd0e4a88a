"""The Eckart–Young loss: its analytic value, its minimum, and the maps that reach it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from crossmodal_jax.losses import eigengame_loss


def embeddings(n, d, a):
    i, j = np.arange(n)[:, None], np.arange(d)
    z = np.sin(1 + a * i + 0.7 * j) + 0.1 * np.cos(i * j)
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def test_analytic_value(x64):
    got = eigengame_loss([embeddings(6, 4, 0.9), embeddings(6, 4, 1.1)])
    np.testing.assert_allclose(got, -3.624869, rtol=0, atol=5e-7)


def _views(num_views):
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(60, 2)) * [2.0, 1.0]
    return [
        latent @ rng.normal(size=(2, d)) + rng.normal(size=(60, d)) + 3
        for d in (5, 4, 6)[:num_views]
    ]


@functools.cache
def _descend(num_views):
    views = _views(num_views)

    def train(maps):
        loss = lambda maps: eigengame_loss([x @ w for x, w in zip(views, maps, strict=True)])
        step = lambda _, maps: jax.tree.map(lambda w, g: w - 0.01 * g, maps, jax.grad(loss)(maps))
        maps = jax.lax.fori_loop(0, 6000, step, maps)
        return maps, loss(maps)

    return jax.jit(train)


@pytest.mark.parametrize("num_views", [2, 3])
def test_descent_ends_in_the_subspace_of_cca(num_views, x64):
    views = _views(num_views)
    scatter = np.cov(np.hstack(views), rowvar=False)
    own = scipy.linalg.block_diag(*(np.cov(x, rowvar=False) for x in views))
    values, vectors = scipy.linalg.eigh(scatter, own)
    rng = np.random.default_rng(1)
    start = [0.1 * rng.normal(size=(x.shape[1], 2)) for x in views]
    maps, loss = _descend(num_views)(start)
    np.testing.assert_allclose(loss, -np.sum(values[-2:] ** 2), rtol=1e-9)
    angles = scipy.linalg.subspace_angles(np.vstack(maps), vectors[:, -2:])
    np.testing.assert_allclose(angles, 0, atol=1e-4)
    if num_views == 2:
        whitened = [z @ np.linalg.inv(np.linalg.cholesky(z.T @ z)).T for z in _centred(views)]
        rho = np.linalg.svd(whitened[0].T @ whitened[1], compute_uv=False)[:2]
        np.testing.assert_allclose(loss, -np.sum((1 + rho) ** 2), rtol=1e-9)


def _centred(views):
    return [x - x.mean(0) for x in views]


def test_rotations_and_means_change_nothing_but_scale_does(x64):
    x, y = (z[:, :4] for z in _views(2))
    loss = jax.jit(eigengame_loss)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    expected = loss([x, y])
    np.testing.assert_allclose(loss([x @ rotation + 9, y @ rotation]), expected, rtol=1e-10)
    assert not np.isclose(loss([2 * x, 2 * y]), expected)


@pytest.mark.parametrize(
    ("xs", "got"), [([jnp.ones((3, 2))], "1"), (jnp.ones((2, 3, 2)), "one array of shape")]
)
def test_fewer_than_two_views_are_refused(xs, got, no_jaxtyping):
    with pytest.raises(ValueError, match=f"eigengame_loss: `xs` must be .* or more, got {got}"):
        eigengame_loss(xs)
