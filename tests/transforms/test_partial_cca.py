import functools

import cca_zoo.linear
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.linear_model

from crossmodal_jax import numerics
from crossmodal_jax.transforms import canonical_variates, cca, partial_cca, remove_confounds

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow

FIT = jax.jit(partial_cca(dim=2, l2=0.0).fit)


def data(n=60, dx=4, dy=3, dz=2, strength=3.0):
    rng = np.random.default_rng(0)
    z = 4 + rng.normal(size=(n, dz))
    latent = rng.normal(size=(n, 2))
    x = 2 + latent @ rng.normal(size=(2, dx)) + rng.normal(size=(n, dx))
    y = latent @ rng.normal(size=(2, dy)) - 7 + rng.normal(size=(n, dy))
    effects = (strength * z @ rng.normal(size=(dz, d)) for d in (dx, dy))
    return *(side + effect for side, effect in zip((x, y), effects, strict=True)), z


def residuals(x, y, z):
    """Residuals of the regressions on z, about the means of x and y."""
    return [
        a.mean(0) + a - sklearn.linear_model.LinearRegression().fit(z, a).predict(z) for a in (x, y)
    ]


def test_correlations_and_variates_match_cca_zoo(x64):
    x, y, z = data()
    params = FIT(x, y, confounds=z)
    oracle = cca_zoo.linear.PartialCCA(n_components=2).fit([x, y], partials=z)
    expected = oracle.transform([x, y], partials=z)
    correlations = [np.corrcoef(*(e[:, k] for e in expected))[0, 1] for k in (0, 1)]
    np.testing.assert_allclose(params.cca.correlations, correlations, rtol=1e-8)
    for view, side in enumerate((x, y)):
        clean = remove_confounds(params, side, z, view=view)
        got = np.asarray(canonical_variates(params.cca, clean, view=view, power=0.0))
        wanted = expected[view] / expected[view].std(0)
        signs = np.sign(np.sum(got * wanted, axis=0))
        np.testing.assert_allclose(got * signs, wanted, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_it_is_cca_of_the_residuals(l2, x64):
    x, y, z = data()
    clean = residuals(x, y, z)
    t, plain = partial_cca(dim=2, l2=l2), cca(dim=2, l2=l2)
    params, expected = jax.jit(t.fit)(x, y, confounds=z), jax.jit(plain.fit)(*clean)
    np.testing.assert_allclose(params.cca.correlations, expected.correlations, rtol=1e-9)
    effects = [a - b for a, b in zip((x, y), clean, strict=True)]
    wanted = plain.apply(expected, clean[0]) + effects[1]
    np.testing.assert_allclose(t.apply(params, x, z), wanted, rtol=1e-8, atol=1e-8)
    back = plain.inverse(expected, clean[1]) + effects[0]
    np.testing.assert_allclose(t.inverse(params, y, z), back, rtol=1e-8, atol=1e-8)
    errors = y - np.asarray(t.apply(params, x, z))
    np.testing.assert_allclose(params.residual, np.cov(errors.T, ddof=0), rtol=1e-8, atol=1e-10)


def test_all_dimensions_regress_y_on_x_and_z(x64):
    x, y, z = data()
    t = partial_cca(dim=3, l2=0.0)
    oracle = sklearn.linear_model.LinearRegression().fit(np.hstack([x, z]), y)
    got = t.apply(jax.jit(t.fit)(x, y, confounds=z), x, z)
    np.testing.assert_allclose(got, oracle.predict(np.hstack([x, z])), rtol=1e-8, atol=1e-8)


def test_a_shared_confound_alone_is_no_correlation(x64):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(4000, 2))
    x, y = (z @ rng.normal(size=(2, d)) + 0.1 * rng.normal(size=(4000, d)) for d in (4, 3))
    assert jax.jit(cca(dim=1).fit)(x, y).correlations[0] > 0.9
    assert jax.jit(partial_cca(dim=1).fit)(x, y, confounds=z).cca.correlations[0] < 0.1


def test_without_confounds_it_is_cca(x64):
    x, y, z = data()
    t, plain = partial_cca(dim=2), cca(dim=2)
    params, expected = jax.jit(t.fit)(x, y), jax.jit(plain.fit)(x, y)
    np.testing.assert_allclose(params.cca.correlations, expected.correlations, rtol=1e-12)
    np.testing.assert_allclose(t.apply(params, x), plain.apply(expected, x), rtol=1e-9)
    # A confound that never varies explains nothing.
    constant = jax.jit(t.fit)(x, y, confounds=np.ones_like(z))
    np.testing.assert_allclose(constant.cca.correlations, expected.correlations, rtol=1e-12)


def test_streamed_masked_confounds(x64):
    x, y, z = data()
    keep = np.arange(60) % 3 > 0
    expected = FIT(x[keep], y[keep], confounds=z[keep])
    state = numerics.init_moments((4, 3, 2), dtype=np.float64)
    update = jax.jit(numerics.update_moments)
    for rows in np.split(np.flatnonzero(keep), 4):
        state = update(state, (x[rows], y[rows], z[rows]))
    streamed = jax.jit(partial_cca(dim=2, l2=0.0).solve)(state)
    for side in (x, y, z):
        side[~keep] = np.nan
    masked = FIT(x, y, keep, z)
    for got in (streamed, masked):
        np.testing.assert_allclose(got.cca.correlations, expected.cca.correlations, rtol=1e-10)
        np.testing.assert_allclose(got.slopes[1], expected.slopes[1], rtol=1e-9)
        np.testing.assert_allclose(got.residual, expected.residual, rtol=1e-9, atol=1e-12)


@functools.partial(jax.jit, static_argnums=3)
@functools.partial(jax.value_and_grad, argnums=(0, 1, 2))
def loss(x, y, z, dim):
    t = partial_cca(dim=dim, l2=0.1)
    return jnp.sum(jnp.sin(t.apply(t.fit(x, y, confounds=z), x[:5], z[5:10])))


def test_gradients_through_the_fit_match_differences(x64):
    sides = data(strength=1.0)
    steps = [1e-5 * np.random.default_rng(i).normal(size=s.shape) for i, s in enumerate(sides)]
    ahead, behind = (
        loss(*(s + f * d for s, d in zip(sides, steps, strict=True)), 2)[0] for f in (1, -1)
    )
    got = sum(np.sum(g * d) for g, d in zip(loss(*sides, 2)[1], steps, strict=True))
    np.testing.assert_allclose(got, (ahead - behind) / 2, rtol=1e-6)


def test_what_was_fitted_must_be_given(no_jaxtyping):
    x, y, z = data()
    t = partial_cca(dim=2)
    params = FIT(x, y, confounds=z)
    with pytest.raises(ValueError, match="confounds of width 2 were fitted, got none"):
        t.apply(params, x)
    with pytest.raises(ValueError, match=r"`confounds` must be \[\*batch, 2\] as fitted"):
        t.apply(params, x, z[:, :1])
    with pytest.raises(ValueError, match=r"partial_cca: .*confounds.* same number of rows"):
        t.fit(x, y, confounds=z[1:])
    with pytest.raises(ValueError, match=r"partial_cca: `dim` .* got dim=4 for dx=4 and dy=3"):
        jax.eval_shape(partial_cca(dim=4).fit, x, y)
    with pytest.raises(ValueError, match="remove_confounds: `view` must be 0"):
        remove_confounds(params, x, z, view=2)
