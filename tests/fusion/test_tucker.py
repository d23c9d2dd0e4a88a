"""Tucker fusion and its cores: full, superdiagonal, of low rank."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

_DIMS = (5, 4, 3)
_PATTERNS = np.array(list(itertools.product([False, True], repeat=3)))


def _random_like(tree, rng):
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), tree)


def _xs(rng, dims=_DIMS):
    return [jnp.asarray(rng.normal(size=(8, d))) for d in dims]


def test_axes_of_the_core_follow_the_modalities_and_may_differ(x64):
    rng = np.random.default_rng(0)
    xs = _xs(rng)
    sizes = (2, 3, 4)
    kernels = tuple(jnp.asarray(rng.normal(size=shape)) for shape in zip(_DIMS, sizes, strict=True))
    core, out = (jnp.asarray(rng.normal(size=shape)) for shape in ((2, 3, 4, 6), (6, 7)))
    projected = [x @ kernel for x, kernel in zip(xs, kernels, strict=True)]
    expected = np.einsum("na,nb,nc,abck,ko->no", *projected, core, out)
    got = fusion.tucker(xs, fusion.TuckerWeights(kernels, core, out))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_superdiagonal_core_is_mlb_without_tanh_under_any_mask(x64):
    rng = np.random.default_rng(1)
    xs = _xs(rng)
    weights = _random_like(fusion.init_mlb(jax.random.key(0), _DIMS, 4, hidden_dim=6), rng)
    units = jnp.arange(6)
    core = jnp.zeros((6,) * 4).at[units, units, units, units].set(1.0)
    expected = fusion.mlb(xs, weights, present=_PATTERNS, activation=lambda h: h)
    got = fusion.tucker(
        xs, fusion.TuckerWeights(weights.kernels, core, weights.out_kernel), present=_PATTERNS
    )
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_mutan_is_tucker_with_a_core_of_low_rank(x64):
    rng = np.random.default_rng(2)
    xs = _xs(rng)
    init = functools.partial(fusion.init_mutan, jax.random.key(0), _DIMS, 4, core_dim=6, rank=2)
    weights = _random_like(init(), rng)
    core = jnp.einsum("ark,brk,crk->abck", *weights.factors)
    expected = fusion.tucker(xs, fusion.TuckerWeights(weights.kernels, core, weights.out_kernel))
    np.testing.assert_allclose(
        fusion.mutan(xs, weights), expected, rtol=0, atol=1e-12 * np.abs(expected).max()
    )


@pytest.mark.parametrize("name", ["tucker", "mutan"])
def test_linear_in_every_modality(name, x64):
    rng = np.random.default_rng(3)
    xs, ys, operator = _xs(rng), _xs(rng), fusion.OPERATORS[name]
    weights = _random_like(operator.init(jax.random.key(0), _DIMS, 4, core_dim=4), rng)
    for m in range(3):
        at = lambda x, m=m: operator.apply([*xs[:m], x, *xs[m + 1 :]], weights)
        expected = 2 * at(xs[m]) - 3 * at(ys[m])
        got = at(2 * xs[m] - 3 * ys[m])
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("num", [1, 2, 3, 6])
def test_default_core_is_as_large_as_its_bound_allows(num):
    init = functools.partial(fusion.init_tucker, dims=(3,) * num, dim=2)
    shape = jax.eval_shape(init, jax.random.key(0)).core.shape
    assert len(shape) == num + 1
    assert shape[0] ** (num + 1) <= 2**18 < (shape[0] + 1) ** (num + 1)


@pytest.mark.parametrize("name", ["tucker", "mutan"])
@pytest.mark.parametrize("absent", [0, 1, 2])
def test_initial_variance_is_one_under_absence(name, absent):
    operator = fusion.OPERATORS[name]
    xs = [jax.random.normal(jax.random.key(m), (256, 64)) for m in range(3)]
    present = np.arange(3) >= absent

    @jax.jit
    def mean_square(key):
        weights = operator.init(key, (64,) * 3, 32, core_dim=16)
        return jnp.mean(operator.apply(xs, weights, present=present) ** 2)

    got = np.mean([mean_square(key) for key in jax.random.split(jax.random.key(9), 8)])
    assert got == pytest.approx(1, rel=0.4)  # 16 projections and units: heavy tails


@pytest.mark.parametrize("name", ["tucker", "mutan"])
def test_bad_widths_and_options_are_refused(name, no_jaxtyping):
    operator = fusion.OPERATORS[name]
    weights = operator.init(jax.random.key(0), (3, 5), 4)
    with pytest.raises(
        ValueError, match=rf"^{name}: `weights` must have one kernel .*init_{name}\("
    ):
        operator.apply([jnp.ones(3), jnp.ones(4)], weights)
    message = rf"^init_{name}: `core_dim` must be at least 1, got 0; .*\.$"
    with pytest.raises(ValueError, match=message):
        operator.init(jax.random.key(0), (3, 5), 4, core_dim=0)
    message = r"^init_mutan: `core_dim` must be at least 1, got -1; .*\.$"
    with pytest.raises(ValueError, match=message):
        fusion.init_mutan(jax.random.key(0), (3, 5), 4, core_dim=-1, rank=0)
