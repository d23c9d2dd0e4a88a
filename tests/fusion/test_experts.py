"""Gaussian experts: values worked out by hand, extremes, subsets, samples and moments."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from crossmodal_jax import fusion
from crossmodal_jax.fusion import Gaussian, GaussianMixture

_ALL_MASKS = np.array(list(itertools.product([False, True], repeat=3)))
_NAMES = ["product_of_experts", "mixture_of_experts", "mopoe"]

_exactly = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-12)


def _experts(num=3, batch=(), d=2):
    return [Gaussian(*pair) for pair in np.random.default_rng(0).normal(size=(num, 2, *batch, d))]


def _jit(function, **options):
    return jax.jit(functools.partial(function, **options))


def _product(experts, prior):
    """Mean and log-variance by the definition."""
    precisions = [np.exp(-e.log_variance) for e in experts]
    total = sum(precisions) + float(prior)
    mean = sum(p * e.mean for p, e in zip(precisions, experts, strict=True)) / total
    return Gaussian(mean, -np.log(total))


def test_product_of_two_by_hand(x64):
    # Precisions 1/2 and 2: variance 1/2.5, mean 0.4 · (1/2 − 2); with the prior 1/3.5.
    experts = [Gaussian(np.ones(1), np.log([2.0])), Gaussian(-np.ones(1), np.log([0.5]))]
    mean, log_variance = _jit(fusion.product_of_experts, prior=False)(experts)
    _exactly([mean[0], np.exp(log_variance)[0]], [-0.6, 0.4])
    mean, log_variance = _jit(fusion.product_of_experts)(experts)
    _exactly([mean[0], np.exp(log_variance)[0]], [-1.5 / 3.5, 1 / 3.5])


@pytest.mark.parametrize("prior", [False, True])
def test_product_of_the_present_and_of_nothing(prior, x64):
    experts = _experts(batch=(8,))
    function = functools.partial(fusion.product_of_experts, present=_ALL_MASKS, prior=prior)
    got, pull = jax.vjp(jax.jit(function), experts)
    for i, mask in enumerate(_ALL_MASKS):
        present = [Gaussian(*(x[i] for x in experts[m])) for m in np.flatnonzero(mask)]
        expected = _product(present, prior) if present else Gaussian(np.zeros(2), np.zeros(2))
        _exactly([x[i] for x in got], expected)
    (slopes,) = pull(Gaussian(np.ones((8, 2)), np.ones((8, 2))))
    for m, slope in enumerate(slopes):
        for leaf in slope:
            assert not leaf[~_ALL_MASKS[:, m]].any()
            # An expert alone without the prior keeps its own mean, whatever its variance.
            assert leaf[_ALL_MASKS.all(axis=1)].all()


def test_product_is_proportional_to_the_product_of_densities(x64):
    experts = _experts(d=1)
    z = np.linspace(-2, 2, 7)
    logs = sum(norm.logpdf(z, e.mean[0], np.exp(e.log_variance[0] / 2)) for e in experts)
    logs += norm.logpdf(z)
    mean, log_variance = _jit(fusion.product_of_experts)(experts)
    difference = norm.logpdf(z, mean[0], np.exp(log_variance[0] / 2)) - logs
    _exactly(difference, difference[0])


@pytest.mark.parametrize("name", _NAMES)
def test_extreme_log_variances_are_finite_in_float32(name):
    signs = np.array([*itertools.product([-80.0, 0.0, 80.0], repeat=2)])
    xs = [np.stack([np.full(9, mean), s], axis=1) for mean, s in zip((3, -2), signs.T, strict=True)]
    xs = [x.astype(np.float32) for x in xs]
    value, pull = jax.vjp(jax.jit(lambda xs: fusion.OPERATORS[name].apply(xs, ())), xs)
    assert np.isfinite(value).all()
    assert np.isfinite(np.stack(pull(jnp.ones_like(value))[0])).all()
    if name == "product_of_experts":
        log_precision = np.logaddexp(0, np.logaddexp(*-signs.T))
        shares = np.exp(-signs - log_precision[:, None])
        np.testing.assert_allclose(value[:, 0], shares @ [3, -2], rtol=1e-6)
        np.testing.assert_allclose(value[:, 1], -log_precision, rtol=1e-6, atol=1e-30)
    if name == "mixture_of_experts":
        np.testing.assert_allclose(value[:, 0], 0.5, rtol=1e-6)
        expected = np.log(np.mean(np.exp(signs), axis=1) + 2.5**2)
        np.testing.assert_allclose(value[:, 1], expected, rtol=1e-6)


def test_mixture_gives_even_weights_to_the_present():
    experts = [Gaussian(*map(np.float32, e)) for e in _experts(batch=(8,))]
    mixture = _jit(fusion.mixture_of_experts, present=_ALL_MASKS)(experts)
    count = _ALL_MASKS.sum(axis=1, keepdims=True)
    expected = np.where(count > 0, _ALL_MASKS / np.maximum(count, 1), 1 / 3)
    np.testing.assert_allclose(np.exp(mixture.log_weights), expected, rtol=1e-6)
    assert np.isneginf(mixture.log_weights[1, 0])
    for m, expert in enumerate(experts):
        here = _ALL_MASKS[:, m]
        np.testing.assert_array_equal(mixture.means[here, m], expert.mean[here])
        np.testing.assert_array_equal(mixture.log_variances[here, m], expert.log_variance[here])
    # Nothing present: every component is the prior.
    assert not mixture.means[0].any()
    assert not mixture.log_variances[0].any()


@pytest.mark.parametrize("prior", [False, True])
def test_mopoe_holds_the_product_of_every_subset_of_the_present(prior, x64):
    experts = _experts()
    rows = [Gaussian(*(np.tile(x, (8, 1)) for x in expert)) for expert in experts]
    mixture = _jit(fusion.mopoe, present=_ALL_MASKS, prior=prior)(rows)
    assert mixture.log_weights.shape == (8, 7)
    for i, present in enumerate(_ALL_MASKS[1:], start=1):
        for j in range(1, 8):
            members = [m for m in range(3) if j >> m & 1]
            if not present[members].all():
                assert np.isneginf(mixture.log_weights[i, j - 1])
                continue
            _exactly(np.exp(mixture.log_weights[i, j - 1]), 1 / (2 ** present.sum() - 1))
            got = [mixture.means[i, j - 1], mixture.log_variances[i, j - 1]]
            _exactly(got, _product([experts[m] for m in members], prior))
    _exactly(np.exp(mixture.log_weights[0]), 1 / 7)
    assert not mixture.means[0].any()
    assert not mixture.log_variances[0].any()


def test_mopoe_of_one_is_that_expert(x64):
    (expert,) = _experts(num=1)
    mixture = _jit(fusion.mopoe, prior=False)([expert])
    assert mixture.log_weights.shape == (1,)
    _exactly([mixture.means[0], mixture.log_variances[0]], expert)
    _exactly(_jit(fusion.mixture_moments)(_jit(fusion.mopoe)([expert])), _product([expert], True))


def test_moments_of_a_mixture_by_hand(x64):
    # Weights 1/4 and 3/4, N(0, 1) and N(4, 3): mean 3, variance 1/4 + 9/4 + 3/4 · 1/4 · 16 = 5.5.
    mixture = GaussianMixture(
        np.log([0.25, 0.75]), np.array([[0.0], [4.0]]), np.log([[1.0], [3.0]])
    )
    mean, log_variance = _jit(fusion.mixture_moments)(mixture)
    _exactly([mean[0], np.exp(log_variance)[0]], [3.0, 5.5])


def test_log_density_of_a_mixture_is_that_of_scipy(x64):
    mixture = _jit(fusion.mixture_of_experts, present=_ALL_MASKS)(_experts(batch=(8,)))
    z = np.random.default_rng(1).normal(size=(4, 8, 2))
    got = _jit(fusion.mixture_log_density)(mixture, z)
    assert got.shape == (4, 8)
    scale = np.exp(np.asarray(mixture.log_variances) / 2)
    parts = norm.pdf(z[..., None, :], mixture.means, scale).prod(axis=-1)
    _exactly(got, np.log(np.sum(np.exp(mixture.log_weights) * parts, axis=-1)))


def test_gradients_of_density_and_moments_with_absent_components_are_finite():
    def total(experts):
        mixture = fusion.mixture_of_experts(experts, present=_ALL_MASKS)
        density = fusion.mixture_log_density(mixture, jnp.ones((8, 2)))
        return jnp.sum(density) + sum(map(jnp.sum, fusion.mixture_moments(mixture)))

    experts = [Gaussian(*map(np.float32, e)) for e in _experts(batch=(8,))]
    for m, slope in enumerate(jax.jit(jax.grad(total))(experts)):
        for leaf in slope:
            assert np.isfinite(leaf).all()
            assert not leaf[~_ALL_MASKS[:, m]].any()
            assert leaf[_ALL_MASKS[:, m]].all()


def test_samples_have_the_moments_of_their_distribution():
    # 2e5 draws: the standard error of a mean is σ/447, of a variance below σ²√2/447.
    n = 200_000
    z = fusion.sample_gaussian(
        jax.random.key(0), Gaussian(jnp.array([1.0, -2.0]), jnp.log(jnp.array([4, 0.25]))), (n,)
    )
    assert z.shape == (n, 2)
    np.testing.assert_allclose(np.mean(z, axis=0), [1, -2], atol=0.03)
    np.testing.assert_allclose(np.var(z, axis=0), [4, 0.25], atol=0.06)
    # The first sample has N(−3, 1) and N(3, 1), of variance 1 + 3² together; the second N(5, ½).
    means = jnp.array([[[-3.0], [3]], [[1], [5]]])
    log_weights = jnp.log(jnp.array([[0.5, 0.5], [0, 1]]))
    mixture = GaussianMixture(log_weights, means, jnp.log(jnp.array([[[1.0], [1]], [[2], [0.5]]])))
    z = fusion.sample_mixture(jax.random.key(1), mixture, (n,))
    assert z.shape == (n, 2, 1)
    np.testing.assert_allclose(np.mean(z, axis=0), [[0], [5]], atol=0.05)
    np.testing.assert_allclose(np.var(z, axis=0), [[10], [0.5]], atol=0.1)


def test_samples_are_independent_over_the_batch_and_repeatable():
    gaussian = Gaussian(jnp.zeros((3, 4), jnp.bfloat16), jnp.zeros((3, 4)))
    z = fusion.sample_gaussian(jax.random.key(0), gaussian)
    assert z.shape == (3, 4)
    assert z.dtype == jnp.bfloat16
    assert len(np.unique(z.astype(np.float32))) == 12
    np.testing.assert_array_equal(z, fusion.sample_gaussian(jax.random.key(0), gaussian))


def test_gradient_of_a_sample_reaches_its_component_only():
    key = jax.random.key(2)
    log_weights = np.log(np.float32([0.5, 0.5]))
    mixture = GaussianMixture(log_weights, jnp.array([[0.0], [9.0]]), jnp.zeros((2, 1)))
    draw = lambda mixture: fusion.sample_mixture(key, mixture)[0]
    z, slope = jax.jit(jax.value_and_grad(draw))(mixture)
    chosen = int(z > 4.5)
    assert not slope.log_weights.any()
    # z = μ + exp(½ log σ²) ε, so ∂z/∂μ = 1 and ∂z/∂log σ² = (z − μ) / 2.
    np.testing.assert_allclose(slope.means[:, 0], np.eye(2)[chosen])
    expected = np.eye(2)[chosen] * (z - mixture.means[chosen, 0]) / 2
    np.testing.assert_allclose(slope.log_variances[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("name", _NAMES)
def test_experts_share_batch_axes_and_mix_dtypes(name, strict):
    one = Gaussian(np.ones(2, jnp.bfloat16), np.zeros(2, np.float32))
    many = Gaussian(np.zeros((3, 2), jnp.bfloat16), np.ones((3, 2), np.float32))
    fused = jax.eval_shape(getattr(fusion, name), [one, many])
    if isinstance(fused, GaussianMixture):
        assert fused.log_weights.dtype == jnp.float32
        fused = jax.eval_shape(fusion.mixture_moments, fused)
    assert fused.mean.shape == fused.log_variance.shape == (3, 2)
    assert (fused.mean.dtype, fused.log_variance.dtype) == (jnp.bfloat16, jnp.float32)


@pytest.mark.parametrize("name", _NAMES)
def test_what_is_no_expert_is_refused(name, no_jaxtyping):
    function = getattr(fusion, name)
    one, narrow, wide = (Gaussian(np.zeros(s), np.zeros(s)) for s in ((3, 2), 2, (3, 4)))
    with pytest.raises(
        TypeError, match=rf"^{name}: every expert must be a Gaussian, got .+; .+\.$"
    ):
        function(one)
    message = rf"^{name}: mean and log-variance .+ must .+, got .+ experts \[1\]; .+\.$"
    with pytest.raises(ValueError, match=message):
        function([one, Gaussian(one.mean, narrow.mean)])
    message = rf"^{name}: all modalities must have one width d, got \[2, 4\]; .+\.$"
    with pytest.raises(ValueError, match=message):
        function([one, wide])
    message = rf"^{name}: .+ must have an even width 2d, .+, got \[4, 3\]; .+\.$"
    with pytest.raises(ValueError, match=message):
        fusion.OPERATORS[name].apply([np.zeros((3, 4)), np.zeros((3, 3))], ())
