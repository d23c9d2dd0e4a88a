"""Barlow Twins and VICReg: analytic values, both sizes of product, dead units."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.losses import barlow_twins, vicreg

LOSSES = {"barlow_twins": barlow_twins, "vicreg": vicreg}
every_loss = pytest.mark.parametrize("name", LOSSES)


@functools.cache
def gradient(name):
    """Value and gradient by both views, compiled once for each shape."""
    loss = LOSSES[name]
    function = lambda x, y, where: loss(x, y, where=where)
    return jax.jit(jax.value_and_grad(function, argnums=(0, 1)))


def embeddings(n, d, a):
    i, j = np.arange(n)[:, None], np.arange(d)
    z = np.sin(1 + a * i + 0.7 * j) + 0.1 * np.cos(i * j)
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def views(n, d):
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(n, 3)) @ rng.normal(size=(3, d))
    return [latent + 0.5 * rng.normal(size=(n, d)) + 1 for _ in range(2)]


def test_analytic_values(x64):
    x, y = embeddings(6, 4, 0.9), embeddings(6, 4, 1.1)
    np.testing.assert_allclose(jax.jit(barlow_twins)(x, y), 0.139082, rtol=0, atol=5e-7)
    loss = jax.jit(vicreg)
    np.testing.assert_allclose(loss(x, y), 13.967275, rtol=0, atol=5e-7)
    parts = {
        "invariance": 0.093938,
        "variance": (0.461198 + 0.454255) / 2,
        "covariance": 0.084419 + 0.091234,
    }
    for part, expected in parts.items():
        weights = {p: float(p == part) for p in parts}
        np.testing.assert_allclose(loss(x, y, **weights), expected, rtol=0, atol=1.5e-6)


@every_loss
def test_both_sizes_of_product_agree(name, x64):
    # Dropped rows lead to products of the other size; the rows that are kept are the same.
    x, y = views(10, 30)
    padded = [np.vstack([z, np.full((50, 30), 7.0)]) for z in (x, y)]
    small = gradient(name)(x, y, np.ones(10, bool))
    large = gradient(name)(*padded, np.arange(60) < 10)
    np.testing.assert_allclose(small[0], large[0], rtol=1e-12)
    for got, expected in zip(small[1], large[1], strict=True):
        np.testing.assert_allclose(got, expected[:10], atol=1e-12 * np.abs(got).max())


@every_loss
@pytest.mark.parametrize("n", [10, 60])  # 10 of width 30 leads to Gram matrices
def test_float32_is_float64(name, n):
    x, y = (np.float32(z) for z in views(n, 30))
    keep = np.ones(n, bool)
    with jax.enable_x64(True):
        exact = gradient(name)(np.float64(x), np.float64(y), keep)
        expected = jax.tree.map(np.asarray, exact)
    got = gradient(name)(x, y, keep)
    np.testing.assert_allclose(got[0], expected[0], rtol=2e-6)
    for slope, exact in zip(got[1], expected[1], strict=True):
        assert np.linalg.norm(slope - exact) < 1e-5 * np.linalg.norm(exact)


@every_loss
def test_large_means_cost_no_digits(name):
    # Whole numbers, which float32 holds exactly beside a mean of a million.
    x, y = (np.rint(2 * z) for z in views(60, 30))
    keep = np.ones(60, bool)
    with jax.enable_x64(True):
        expected = float(gradient(name)(x, y, keep)[0])
    if name == "vicreg":  # sees the distance of the means, not their place
        got = gradient(name)(np.float32(x + 1e6), np.float32(y + 1e6), keep)[0]
    else:
        got = gradient(name)(np.float32(x + 1e6), np.float32(y - 2e6), keep)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_no_matrix_of_the_width_is_made_for_few_rows():
    rows = jax.ShapeDtypeStruct((64, 4096), jnp.float32)
    for loss in LOSSES.values():
        compiled = jax.jit(jax.value_and_grad(loss)).lower(rows, rows).compile()
        assert compiled.memory_analysis().temp_size_in_bytes < 2**24  # one of them has 2²⁶ bytes


@every_loss
def test_dead_units_are_those_of_zeros(name):
    # The mean of 3.3 is not exactly 3.3 in float32: rounding must not become a correlation.
    x, y = (np.float32(z) for z in views(60, 30))
    x[:, :9], y[:, 2:] = np.linspace(0.1, 3.3, 9), np.linspace(-0.3, 70, 28)
    keep = np.ones(60, bool)
    dead = gradient(name)(x, y, keep)
    if name == "barlow_twins":
        zeros = [z * (np.ptp(z, axis=0) > 0) for z in (x, y)]
        np.testing.assert_allclose(dead[0], gradient(name)(*zeros, keep)[0], rtol=1e-6)
        assert not dead[1][0][:, :9].any()
        assert not dead[1][1][:, 2:].any()
        assert dead[0] >= 30  # none has a live partner
    assert np.isfinite(dead[0])
    assert all(np.isfinite(slope).all() for slope in dead[1])


def test_fewer_than_two_rows_are_dead_units():
    x, y = (np.float32(z) for z in views(7, 30))
    for keep in (np.arange(7) == 3, np.zeros(7, bool)):
        value, slopes = gradient("barlow_twins")(x, y, keep)
        assert value == 30
        assert not any(np.any(slope) for slope in slopes)
        value, slopes = gradient("vicreg")(x, y, keep)
        # Nothing varies: 25 (1 − √1e-4) for the variance, and the distance of the single pair.
        expected = 24.75 + 25 * np.sum(keep[:, None] * (x - y) ** 2) / 30
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        assert all(np.isfinite(slope).all() for slope in slopes)


def test_barlow_twins_does_not_see_scale_and_mean(x64):
    x, y = views(16, 30)
    keep = np.ones(16, bool)
    expected = gradient("barlow_twins")(x, y, keep)[0]
    moved = x * np.linspace(-3, -1, 30) + 1e3  # both signs, so that the correlation is the same
    got = gradient("barlow_twins")(moved, y * np.linspace(-3, -1, 30), keep)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-10)


@every_loss
def test_widths_must_be_one(name, no_jaxtyping):
    x = jnp.ones((4, 3))
    with pytest.raises(ValueError, match=rf"{name}: `x` and `y` must share one shape .*y.shape="):
        LOSSES[name](x, x[:, :2])
