"""Factorised bilinear and high-order pooling: groups, norms, and the cascade of blocks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

_DIMS = (5, 4, 3)


def _random_like(tree, rng):
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), tree)


def _xs(rng, num=6):
    return [jnp.asarray(rng.normal(size=(num, d))) for d in _DIMS]


def test_pools_neighbours():
    # Products of unit 0: 1·5 and 2·6; of unit 1: 3·7 and 4·8.
    kernels = jnp.array([[[1.0, 2.0], [3.0, 4.0]]]), jnp.array([[[5.0, 6.0], [7.0, 8.0]]])
    xs = [jnp.ones(1), jnp.ones(1)]
    got = fusion.mfb(xs, fusion.MfbWeights(kernels), normalize=False)
    np.testing.assert_array_equal(got, [17.0, 53.0])
    got = fusion.mfb(xs, fusion.MfbWeights(kernels))
    np.testing.assert_allclose(got, np.sqrt([17 / 70, 53 / 70]), rtol=1e-6)


def test_pool_of_one_without_norms_is_mlb_without_tanh(x64):
    rng = np.random.default_rng(0)
    xs = _xs(rng, 8)
    weights = _random_like(fusion.init_mfb(jax.random.key(0), _DIMS, 4, pool_size=1), rng)
    plain = fusion.MlbWeights(tuple(k[..., 0] for k in weights.kernels), jnp.eye(4))
    present = np.array(list(itertools.product([False, True], repeat=3)))
    expected = fusion.mlb(xs, plain, present=present, activation=lambda h: h)
    got = fusion.mfb(xs, weights, present=present, normalize=False)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["mfb", "mfh"])
def test_direction_ignores_the_length_of_the_inputs(name, x64):
    rng = np.random.default_rng(1)
    xs, operator = _xs(rng), fusion.OPERATORS[name]
    weights = _random_like(operator.init(jax.random.key(0), _DIMS, 4), rng)
    expected = operator.apply(xs, weights)
    got = operator.apply([1e3 * xs[0], 1e-4 * xs[1], xs[2]], weights)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_sign_of_a_modality_is_the_sign_of_the_result(x64):
    rng = np.random.default_rng(2)
    xs = _xs(rng)
    weights = _random_like(fusion.init_mfb(jax.random.key(0), _DIMS, 4), rng)
    expected = -fusion.mfb(xs, weights)
    np.testing.assert_array_equal(fusion.mfb([xs[0], -xs[1], xs[2]], weights), expected)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("name", ["mfb", "mfh"])
def test_subset_of_the_modalities_is_the_operator_of_that_subset(name, normalize, x64):
    rng = np.random.default_rng(3)
    xs, operator = _xs(rng), fusion.OPERATORS[name]
    weights = _random_like(operator.init(jax.random.key(0), _DIMS, 5), rng)
    for m, n in itertools.combinations(range(3), 2):
        fewer = jax.tree.map(
            lambda kernels, m=m, n=n: (kernels[m], kernels[n]),
            weights,
            is_leaf=lambda node: type(node) is tuple and hasattr(node[0], "shape"),
        )
        expected = operator.apply([xs[m], xs[n]], fewer, normalize=normalize)
        present = np.isin(np.arange(3), [m, n])
        got = operator.apply(xs, weights, present=present, normalize=normalize)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_cascade_of_one_block_is_mfb(x64):
    rng = np.random.default_rng(4)
    xs = _xs(rng)
    weights = _random_like(fusion.init_mfb(jax.random.key(0), _DIMS, 4), rng)
    expected = fusion.mfb(xs, weights)
    np.testing.assert_array_equal(fusion.mfh(xs, fusion.MfhWeights((weights,))), expected)


def test_block_of_the_cascade_multiplies_those_before(x64):
    rng = np.random.default_rng(5)
    xs = _xs(rng)
    weights = _random_like(fusion.init_mfh(jax.random.key(0), _DIMS, 7, order=3, pool_size=2), rng)
    assert [block.kernels[0].shape for block in weights.blocks] == [(5, 3, 2), (5, 2, 2), (5, 2, 2)]
    products = [
        np.prod([np.einsum("nd,dok->nok", *one) for one in zip(xs, b.kernels, strict=True)], axis=0)
        for b in weights.blocks
    ]
    second = products[0][:, :2] * products[1]
    expected = [products[0], second, second * products[2]]
    expected = np.concatenate([e.sum(axis=-1) for e in expected], axis=1)
    got = fusion.mfh(xs, weights, normalize=False)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_every_block_has_length_one():
    xs = [jax.random.normal(jax.random.key(d), (6, d)) for d in _DIMS]
    weights = fusion.init_mfh(jax.random.key(0), _DIMS, 7, order=3)
    for part in np.split(fusion.mfh(xs, weights), [3, 5], axis=1):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(("dim", "widths"), [(1, [1]), (2, [1, 1]), (5, [3, 2]), (6, [3, 3])])
def test_units_are_shared_out_among_the_blocks(dim, widths):
    weights = fusion.init_mfh(jax.random.key(0), (3, 2), dim)
    assert [block.kernels[1].shape for block in weights.blocks] == [(2, w, 5) for w in widths]
    assert fusion.mfh([jnp.ones(3), jnp.ones(2)], weights).shape == (dim,)


@pytest.mark.parametrize("num", [2, 3])
@pytest.mark.parametrize("name", ["mfb", "mfh"])
def test_initial_variance_without_norms_is_one(name, num):
    operator = fusion.OPERATORS[name]
    xs = [jax.random.normal(jax.random.key(m), (256, 128)) for m in range(num)]
    weights = operator.init(jax.random.key(7), (128,) * num, 64)
    fused = operator.apply(xs, weights, normalize=False)
    for half in (fused[:, :32], fused[:, 32:]):
        assert jnp.mean(half**2) == pytest.approx(1, rel=0.4)  # products of up to six: heavy tails


@pytest.mark.parametrize("name", ["mfb", "mfh"])
def test_bad_widths_and_options_are_refused(name, no_jaxtyping):
    operator = fusion.OPERATORS[name]
    weights = operator.init(jax.random.key(0), (3, 5), 4)
    with pytest.raises(
        ValueError, match=rf"^{name}: `weights` must have one kernel .*init_{name}\("
    ):
        operator.apply([jnp.ones(3), jnp.ones(4)], weights)
    for option in ("pool_size", "order")[: 1 + (name == "mfh")]:
        message = rf"^init_{name}: `{option}` must be at least 1, got 0; .*\.$"
        with pytest.raises(ValueError, match=message):
            operator.init(jax.random.key(0), (3, 5), 4, **{option: 0})
