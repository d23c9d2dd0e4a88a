import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from crossmodal_jax import nn
from crossmodal_jax.learned import coupling_flow, cycle_consistent, flow_log_determinant, mlp
from crossmodal_jax.transforms import ridge

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow


def random_flow(dim, dtype, num_layers=6, scale=1.0):
    """A flow far from the identity: every weight is random."""
    flow = nn.CouplingFlow(dim, 8, num_layers=num_layers, rngs=nnx.Rngs(0))
    leaves, structure = jax.tree.flatten(flow)
    rng = np.random.default_rng(0)
    drawn = [jnp.asarray(scale * rng.normal(size=leaf.shape), dtype) for leaf in leaves]
    return jax.tree.unflatten(structure, drawn)


def forth_and_back(flow, x):
    y, _ = flow(x)
    return y, flow.inverse(y)


@pytest.mark.parametrize("dim", [2, 5])
def test_flow_inverts_exactly(dim, x64):
    x = np.random.default_rng(1).normal(size=(50, dim))
    y, back = jax.jit(forth_and_back)(random_flow(dim, jnp.float64), x)
    assert np.abs(y - x).max() > 1
    np.testing.assert_allclose(back, x, atol=1e-10)
    half = x.astype(np.float32)
    y, back = jax.jit(forth_and_back)(random_flow(dim, jnp.float32, scale=0.2), half)
    np.testing.assert_allclose(back, half, atol=1e-5)


@pytest.mark.parametrize("dim", [2, 5])
def test_log_determinant_is_that_of_the_jacobian(dim, x64):
    flow = random_flow(dim, jnp.float64, scale=0.4)
    x = np.random.default_rng(1).normal(size=(6, dim))
    jacobian = jax.jit(jax.vmap(jax.jacfwd(lambda x: flow(x)[0])))(x)
    expected = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(flow(x)[1], expected, rtol=1e-10, atol=1e-10)


def test_every_column_of_a_flow_depends_on_every_other():
    flow = random_flow(5, jnp.float32)
    jacobian = jax.jit(jax.jacfwd(lambda x: flow(x)[0]))(jnp.ones(5, jnp.float32))
    assert np.all(np.abs(jacobian) > 0)


def test_one_layer_is_the_formula():
    flow = random_flow(3, jnp.float32, 1)
    x = np.array([0.3, -0.2, 1.5], np.float32)
    raw = np.asarray(flow.networks[0](x[:2]))
    y, log_determinant = flow(x)
    log_scale = 2 * np.tanh(raw[0] / 2)
    np.testing.assert_allclose(y[:2], x[:2])
    np.testing.assert_allclose(y[2], x[2] * np.exp(log_scale) + raw[1], rtol=1e-5)
    np.testing.assert_allclose(log_determinant, log_scale, rtol=1e-5)


def warped(n=400, noise=0.0):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2)) + 5
    z = x - 5
    # Invertible: each column is moved by a function of the other, then stretched.
    first = z[:, 0] + np.sin(2 * z[:, 1])
    y = np.stack([first, np.exp(0.5 * np.tanh(first)) * z[:, 1]], 1) * [10, 0.1]
    return x.astype(np.float32), (y + noise * rng.normal(size=y.shape)).astype(np.float32)


def r_squared(y, prediction):
    return 1 - np.mean(np.square((y - prediction) / y.std(0)))


@pytest.mark.parametrize(
    "t",
    [coupling_flow(hidden=16, num_steps=500), cycle_consistent(hidden=24, num_steps=500)],
    ids=["coupling_flow", "cycle_consistent"],
)
def test_planted_warp_is_learned_both_ways(t):
    x, y = warped()
    params = jax.jit(t.fit)(x[:300], y[:300])
    assert r_squared(y[300:], t.apply(params, x[300:])) > 0.97
    # The median: far out, where y hardly depends on x, an inverse magnifies the error of the fit.
    assert np.median(np.abs(x[300:] - t.inverse(params, y[300:]))) < 0.1
    line = ridge()
    assert r_squared(y[300:], line.apply(line.fit(x[:300], y[:300]), x[300:])) < 0.8


def test_fitted_flow_round_trips_and_measures_volume(x64):
    x, y = (z.astype(np.float64) for z in warped(60))
    t = coupling_flow(hidden=8, num_steps=60)
    params = jax.jit(t.fit)(x, y)
    np.testing.assert_allclose(t.inverse(params, t.apply(params, x)), x, atol=1e-10)
    jacobian = jax.vmap(jax.jacfwd(lambda x: t.apply(params, x)))(x[:5])
    expected = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(flow_log_determinant(params, x[:5]), expected, rtol=1e-9)


def test_untrained_flow_matches_the_moments_of_the_columns():
    x, y = warped(60)
    t = coupling_flow(num_steps=0)
    image = np.asarray(t.apply(t.fit(x, y), x))
    np.testing.assert_allclose(image.mean(0), y.mean(0), atol=1e-4)
    np.testing.assert_allclose(image.std(0), y.std(0), rtol=1e-4)


def test_flow_needs_one_width_of_two_or_more(no_jaxtyping):
    x = np.zeros((5, 3), np.float32)
    with pytest.raises(ValueError, match=r"dx=3 and dy=2; reduce .*pca\(dim=2\)"):
        coupling_flow().fit(x, x[:, :2])
    with pytest.raises(ValueError, match="got dim=1 and num_layers=6"):
        coupling_flow().fit(x[:, :1], x[:, :1])
    with pytest.raises(ValueError, match=r"must have shape \[\*batch, 3\], got \(2, 4\)"):
        nn.CouplingFlow(3, 4, rngs=nnx.Rngs(0))(np.zeros((2, 4), np.float32))


def test_without_cycles_forth_is_an_mlp():
    x, y = warped(60)
    options = {"hidden": 8, "num_steps": 20, "seed": 3}
    both, alone = cycle_consistent(cycle=0.0, **options), mlp(**options)
    got = both.apply(jax.jit(both.fit)(x, y), x)
    np.testing.assert_allclose(got, alone.apply(jax.jit(alone.fit)(x, y), x), rtol=1e-4, atol=1e-4)


def test_cycles_make_the_maps_undo_each_other():
    x, y = warped(200, noise=1.0)

    def mean_miss(cycle):
        t = cycle_consistent(cycle=cycle, hidden=16, num_steps=200)
        params = t.fit(x, y)
        return jnp.mean(jnp.square(t.inverse(params, t.apply(params, x)) - x))

    apart, tied = jax.jit(jax.vmap(mean_miss))(jnp.array([0.0, 3.0]))
    assert tied < 0.7 * apart
