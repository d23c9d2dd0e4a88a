"""Losses of sets without pairs: sets of different sizes against other libraries, and laws."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from scipy.spatial.distance import cdist, pdist
from sklearn.metrics.pairwise import rbf_kernel

from crossmodal_jax import losses
from crossmodal_jax.kernels.pair_sums import _by_rows


def _mmd(x, y, unbiased=False):
    def mean(u, v, within):
        gram = sum(rbf_kernel(u, v, gamma=1 / (2 * s**2)) for s in (0.5, 2.0))
        return gram[~np.eye(len(u), dtype=bool)].mean() if within else gram.mean()

    return mean(x, x, unbiased) + mean(y, y, unbiased) - 2 * mean(x, y, False)


def _coral(x, y):
    difference = np.cov(x, rowvar=False) - np.cov(y, rowvar=False)
    return np.linalg.norm(difference) ** 2 / (4 * x.shape[1] ** 2)


def _cmd(x, y):
    moments = [scipy.stats.moment(x, k) - scipy.stats.moment(y, k) for k in (2, 3, 4, 5)]
    return sum(np.linalg.norm(m) for m in [x.mean(0) - y.mean(0), *moments])


def _sinkhorn(x, y):
    def cost(x, y):
        squares = cdist(x, y, "sqeuclidean")
        k, v = np.exp(-squares / 2), np.ones(len(y))
        for _ in range(300):
            u = 1 / (len(x) * (k @ v))
            v = 1 / (len(y) * (u @ k))
        plan = u[:, None] * k * v
        return np.sum(plan * squares) + 2 * np.sum(plan * np.log(plan * plan.size))

    return cost(x, y) - cost(x, x) / 2 - cost(y, y) / 2


BANDWIDTHS = {"bandwidths": (0.5, 2.0)}
CASES = {
    "mmd_loss": (functools.partial(losses.mmd_loss, **BANDWIDTHS), _mmd),
    "mmd_loss/unbiased": (
        functools.partial(losses.mmd_loss, **BANDWIDTHS, unbiased=True),
        functools.partial(_mmd, unbiased=True),
    ),
    "coral_loss": (losses.coral_loss, _coral),
    "cmd_loss": (losses.cmd_loss, _cmd),
    "sinkhorn_divergence": (
        functools.partial(losses.sinkhorn_divergence, epsilon=2.0, tolerance=1e-9),
        _sinkhorn,
    ),
}
every_loss = pytest.mark.parametrize("name", CASES)


@functools.cache
def gradient(name):
    """Value and gradient by both sets, compiled once for each shape."""
    loss = CASES[name][0]
    function = lambda x, y, where, where_y: loss(x, y, where=where, where_y=where_y)
    return jax.jit(jax.value_and_grad(function, argnums=(0, 1)))


def sets(n=9, m=6):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3)), 0.7 * rng.normal(size=(m, 3)) + 0.3


@every_loss
def test_sets_of_different_sizes_under_masks_of_their_own(name, x64):
    x, y = sets()
    keep_x, keep_y = np.arange(9) % 4 != 1, np.arange(6) != 2
    empty = 0 * keep_x > 0, 0 * keep_y > 0
    value, slopes = gradient(name)(x, y, keep_x, keep_y)
    np.testing.assert_allclose(value, CASES[name][1](x[keep_x], y[keep_y]), rtol=1e-10)
    x[~keep_x], y[~keep_y] = np.nan, np.inf
    filled = gradient(name)(x, y, keep_x, keep_y)
    jax.tree.map(np.testing.assert_array_equal, filled, (value, slopes))
    assert not slopes[0][~keep_x].any()
    assert not slopes[1][~keep_y].any()
    for masks in ((empty[0], keep_y), (keep_x, empty[1]), empty):
        value, slopes = gradient(name)(x, y, *masks)
        assert value == 0
        assert not any(slope.any() for slope in slopes)


@pytest.mark.parametrize("name", ["mmd_loss", "coral_loss", "cmd_loss", "sinkhorn_divergence"])
def test_equal_sets_are_a_minimum(name, x64):
    x, y = sets()
    keep_x, keep_y = np.arange(9) < 6, np.ones(6, bool)
    value, slopes = gradient(name)(x, x[:6], keep_x, keep_y)
    np.testing.assert_allclose(value, 0, atol=1e-12)
    if name != "cmd_loss":  # a sum of norms, whose slope is that of rounding
        for slope in slopes:
            np.testing.assert_allclose(slope, 0, atol=1e-8)
    assert gradient(name)(x, y, keep_x, keep_y)[0] > 1e-3
    # Their means play no part in it; nor does, for the others, how often all rows are repeated.
    if name == "coral_loss":
        value = gradient(name)(x, x[:6] + 3, keep_x, keep_y)[0]
    else:
        value = gradient(name)(np.vstack([y[:3], y[:3], x[:3]]), y, keep_x, np.arange(6) < 3)[0]
    np.testing.assert_allclose(value, 0, atol=1e-12)


@pytest.mark.parametrize("name", ["mmd_loss", "sinkhorn_divergence"])
def test_never_negative(name, x64):
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(9, 3)), rng.normal(size=(20, 6, 3))
    for y in [*(x[:6] + 0.01 * noise[:10]), *noise[10:]]:
        assert gradient(name)(x, y, np.arange(9) < 6, np.ones(6, bool))[0] > 0


def test_mmd_has_bandwidths_of_the_data(x64):
    x, y = sets()
    mean = np.mean(pdist(np.vstack([x, y]), "sqeuclidean"))
    widths = np.sqrt(mean * np.array([1 / 4, 1 / 2, 1, 2, 4]) / 2)
    loss = jax.jit(jax.value_and_grad(lambda x, y, s: losses.mmd_loss(x, y, bandwidths=s)))
    default = jax.jit(jax.value_and_grad(losses.mmd_loss))
    expected, got = loss(x, y, widths), default(x, y)
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(default(9 * x + 5, 9 * y + 5)[0], got[0], rtol=1e-10)
    # All rows the same: no distance to be relative to.
    value, slope = default(np.ones((9, 3)), np.ones((6, 3)))
    assert value == 0
    assert not slope.any()


def test_unbiased_mmd_is_zero_on_average_over_all_splits(x64):
    pool = sets()[1]
    splits = np.array(list(itertools.combinations(range(6), 3)))
    first = np.zeros((20, 6), bool)
    np.put_along_axis(first, splits, True, axis=1)
    loss = jax.jit(jax.vmap(CASES["mmd_loss/unbiased"][0], (0, 0)))
    values = loss(pool[splits], np.stack([pool[~keep] for keep in first]))
    np.testing.assert_allclose(values.mean(), 0, atol=1e-14)
    assert values.min() < -1e-2


def test_mmd_of_a_wide_kernel_is_the_distance_of_the_means():
    x, y = (np.float32(z) for z in sets())
    # MMD² → ‖x̄ − ȳ‖²/σ², of which 1 + 1 − 2 leaves nothing in float32.
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2)
    got = jax.jit(losses.mmd_loss)(x, y, bandwidths=jnp.array([1e4])) * 1e8
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_slabs_of_rows_are_the_whole(x64, monkeypatch):
    monkeypatch.setattr(_by_rows, "_FEW", 0)
    monkeypatch.setattr(_by_rows, "_ELEMENTS", 2**14)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 3)), rng.normal(size=(270, 3)) + 0.1
    np.testing.assert_allclose(jax.jit(CASES["mmd_loss"][0])(x, y), _mmd(x, y), rtol=1e-10)
    z = x[:, :1] + rng.normal(size=(300, 1))
    k, l = (rbf_kernel(u - 1e3, gamma=0.5) for u in (x, z))
    centre = np.eye(300) - 1 / 300
    expected = np.trace(k @ centre @ l @ centre) / 299**2
    got = jax.jit(losses.hsic_loss)(x + 1e3, z, bandwidth_x=1.0, bandwidth_y=1.0)
    np.testing.assert_allclose(got, expected, rtol=1e-8)


@pytest.mark.parametrize("loss", [losses.mmd_loss, losses.hsic_loss])
def test_memory_is_that_of_slabs(loss):
    rows = jax.ShapeDtypeStruct((8192, 16), jnp.float32)
    compiled = jax.jit(jax.value_and_grad(loss)).lower(rows, rows).compile()
    # A quarter of one kernel matrix.
    assert compiled.memory_analysis().temp_size_in_bytes < 2**28 / 4


def test_second_derivatives_of_what_is_the_same_from_both_sides(x64):
    x, y, v, w = np.random.default_rng(0).normal(size=(4, 4, 2))
    hsic = lambda x, y: losses.hsic_loss(x, y, bandwidth_x=1.0, bandwidth_y=2.0)
    gradient = jax.jit(jax.grad(lambda x, y: hsic(x, y) + losses.uniformity_loss(x), (0, 1)))
    _, got = jax.jvp(gradient, (x, y), (v, w))
    ends = [gradient(x + h * v, y + h * w) for h in (1e-5, -1e-5)]
    for a, plus, minus in zip(got, *ends, strict=True):
        np.testing.assert_allclose(a, (plus - minus) / 2e-5, rtol=1e-6, atol=1e-8)


def test_hsic_tells_dependence_from_independence(x64):
    x = np.repeat(np.linspace(-1, 1, 6), 5)[:, None]
    y = np.tile(np.random.default_rng(0).normal(size=(5, 2)), (6, 1))
    loss = jax.jit(losses.hsic_loss)
    # Every value of x occurs with every value of y.
    np.testing.assert_allclose(loss(x, y), 0, atol=1e-15)
    assert loss(x, np.hstack([np.cos(3 * x), 0 * x])) > 0.01  # without any correlation
    np.testing.assert_allclose(loss(y, x), loss(x, y), atol=1e-15)
    bandwidths = [np.sqrt(np.mean(pdist(z, "sqeuclidean")) / 2) for z in (x, x**3 + y)]
    got = loss(x, x**3 + y, bandwidth_x=bandwidths[0], bandwidth_y=bandwidths[1])
    np.testing.assert_allclose(loss(x, x**3 + y), got, rtol=1e-12)


def test_cmd_weighs_moments_by_the_interval(x64):
    x, y = (np.tanh(z) for z in sets())

    @jax.jit
    def run(x, y):
        sums = [losses.cmd_loss(x, y, num_moments=k) for k in (1, 2, 3)]
        return jnp.stack(sums), losses.cmd_loss(x, y, num_moments=3, bounds=(-1.0, 1.0))

    sums, got = run(x, y)
    expected = np.sum(np.diff(sums, prepend=0) / 2 ** np.arange(1, 4))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"cmd_loss: `num_moments` must be at least 1, got 0; "):
        losses.cmd_loss(x, y, num_moments=0)
    with pytest.raises(ValueError, match=r"cmd_loss: `bounds` must be an interval .* got \(1\.0, "):
        losses.cmd_loss(x, y, bounds=(1.0, 1.0))


def test_sinkhorn_divergence_is_between_assignment_and_means(x64):
    x, _ = sets()
    y = x[::-1] * 0.8 + 1
    loss = jax.jit(lambda x, y, epsilon: losses.sinkhorn_divergence(x, y, epsilon=epsilon))
    cost = cdist(x, y, "sqeuclidean")
    expected = cost[scipy.optimize.linear_sum_assignment(cost)].mean()
    np.testing.assert_allclose(loss(x, y, 1e-2), expected, rtol=1e-4)
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2)
    np.testing.assert_allclose(loss(x, y, 1e4), expected, rtol=1e-3)
    # A shift adds its square at any strength of the entropy.
    np.testing.assert_allclose(loss(x, x[::-1] + 2, 0.5), 12, rtol=1e-6)


@pytest.mark.slow  # 12 seconds, all of which are theirs
@pytest.mark.filterwarnings("ignore:JAXopt is no longer maintained:DeprecationWarning")
def test_sinkhorn_divergence_is_that_of_ott(x64):
    from ott.geometry.pointcloud import PointCloud
    from ott.tools.sinkhorn_divergence import sinkhorn_divergence

    x, y = sets()
    options = {"threshold": 1e-9, "max_iterations": 3000}
    expected = sinkhorn_divergence(PointCloud, x, y, epsilon=2.0, solve_kwargs=options)[0]
    np.testing.assert_allclose(CASES["sinkhorn_divergence"][0](x, y), expected, rtol=1e-10)


@every_loss
def test_the_mask_of_the_second_set_is_named(name, no_jaxtyping):
    x, y = sets()
    public = name.partition("/")[0]
    with pytest.raises(ValueError, match=rf"{public}: `where_y` must have shape \(6,\), got "):
        CASES[name][0](x, y, where_y=np.ones(9, bool))
    with pytest.raises(ValueError, match=rf"{public}: `x` and `y` must be .* y.shape=\(6, 2\)"):
        CASES[name][0](x, y[:, :2])


def test_bandwidths_must_be_a_vector(no_jaxtyping):
    x, y = sets()
    with pytest.raises(ValueError, match=r"mmd_loss: `bandwidths` must be a vector .*shape=\(\); "):
        losses.mmd_loss(x, y, bandwidths=1.0)
