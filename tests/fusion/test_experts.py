"""Gaussian experts: values worked out by hand, extremes, subsets, samples and moments."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from crossmodal_jax import fusion
from crossmodal_jax.fusion import Gaussian, GaussianMixture

_ALL_MASKS = np.array(list(itertools.product([False, True], repeat=3)))


def _gaussian(means, variances):
    means, variances = jnp.atleast_1d(jnp.asarray(means)), jnp.atleast_1d(jnp.asarray(variances))
    return Gaussian(means * 1.0, jnp.log(variances * 1.0))


def _experts(num=3, batch=(), d=2):
    rng = np.random.default_rng(0)
    draw = lambda: jnp.asarray(rng.normal(size=(*batch, d)))
    return [Gaussian(draw(), draw()) for _ in range(num)]


def _assert_gaussian(got, mean, variance, rtol=0, atol=1e-12):
    np.testing.assert_allclose(got.mean, mean, rtol=rtol, atol=atol)
    np.testing.assert_allclose(jnp.exp(got.log_variance), variance, rtol=rtol, atol=atol)


def test_product_of_two_by_hand(x64):
    # Precisions 1/2 and 2: variance 1/2.5, mean 0.4 · (1/2 − 2); with the prior 1/3.5.
    experts = [_gaussian(1, 2), _gaussian(-1, 0.5)]
    _assert_gaussian(fusion.product_of_experts(experts, prior=False), [-0.6], [0.4])
    _assert_gaussian(fusion.product_of_experts(experts), [-1.5 / 3.5], [1 / 3.5])


@pytest.mark.parametrize("prior", [False, True])
def test_product_of_nothing_is_the_prior(prior, x64):
    experts = _experts(batch=(5,))
    got = fusion.product_of_experts(experts, present=np.zeros((5, 3), bool), prior=prior)
    _assert_gaussian(got, np.zeros((5, 2)), np.ones((5, 2)))
    slopes = jax.grad(
        lambda experts: sum(
            map(
                jnp.sum,
                fusion.product_of_experts(experts, present=np.zeros(3, bool), prior=prior),
            )
        )
    )(experts)
    assert not any(x.any() for x in jax.tree.leaves(slopes))


def test_product_without_a_prior_of_one_is_that_expert(x64):
    experts = _experts()
    present = np.array([False, True, False])
    got = fusion.product_of_experts(experts, present=present, prior=False)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=1e-12), got, experts[1])


def test_product_is_associative(x64):
    a, b, c = _experts()
    product = lambda *experts: fusion.product_of_experts(experts, prior=False)
    _assert_gaussian(product(product(a, b), c), product(a, b, c).mean, jnp.exp(product(a, b, c)[1]))
    with_prior = product(a, b, c, _gaussian([0, 0], [1, 1]))
    _assert_gaussian(
        fusion.product_of_experts([a, b, c]), with_prior.mean, jnp.exp(with_prior.log_variance)
    )


def test_product_is_proportional_to_the_product_of_densities(x64):
    experts = _experts(d=1)
    z = np.linspace(-2, 2, 7)
    logs = sum(norm.logpdf(z, e.mean[0], np.exp(e.log_variance[0] / 2)) for e in experts)
    logs += norm.logpdf(z)
    got = fusion.product_of_experts(experts)
    difference = norm.logpdf(z, got.mean[0], np.exp(got.log_variance[0] / 2)) - logs
    np.testing.assert_allclose(difference, difference[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["product_of_experts", "mixture_of_experts", "mopoe"])
@pytest.mark.parametrize("signs", [*itertools.product([-80.0, 0.0, 80.0], repeat=2)])
def test_extreme_log_variances_are_finite_in_float32(name, signs, strict):
    xs = [jnp.array([[3.0, signs[0]]]), jnp.array([[-2.0, signs[1]]])]
    operator = fusion.OPERATORS[name]
    value, slope = jax.value_and_grad(lambda xs: jnp.sum(operator.apply(xs, ())))(xs)
    assert np.isfinite(value)
    assert all(np.isfinite(x).all() for x in slope)
    mean, log_variance = operator.apply(xs, ())[0]
    if name == "product_of_experts":
        assert log_variance == pytest.approx(-np.logaddexp(0, np.logaddexp(*-np.array(signs))))
        if signs == (-80, 80):
            assert mean == 3.0
    if name == "mixture_of_experts":
        expected = np.log(np.mean(np.exp(np.float64(signs))) + 2.5**2)
        assert (mean, log_variance) == pytest.approx((0.5, expected), rel=1e-6)


def test_mixture_gives_even_weights_to_the_present():
    experts = _experts(batch=(8,))
    mixture = fusion.mixture_of_experts(experts, present=_ALL_MASKS)
    count = _ALL_MASKS.sum(axis=1, keepdims=True)
    expected = np.where(count > 0, _ALL_MASKS / np.maximum(count, 1), 1 / 3)
    np.testing.assert_allclose(jnp.exp(mixture.log_weights), expected, rtol=1e-6)
    assert jnp.isneginf(mixture.log_weights[1, 0])
    for m, expert in enumerate(experts):
        here = _ALL_MASKS[:, m]
        np.testing.assert_array_equal(mixture.means[here, m], expert.mean[here])
        np.testing.assert_array_equal(mixture.log_variances[here, m], expert.log_variance[here])
    # Nothing present: every component is the prior.
    assert not mixture.means[0].any()
    assert not mixture.log_variances[0].any()


@pytest.mark.parametrize("prior", [False, True])
def test_mopoe_holds_the_product_of_every_subset(prior, x64):
    experts = _experts()
    mixture = fusion.mopoe(experts, prior=prior)
    assert mixture.log_weights.shape == (7,)
    np.testing.assert_allclose(jnp.exp(mixture.log_weights), 1 / 7, rtol=1e-12)
    for j in range(1, 8):
        subset = [expert for m, expert in enumerate(experts) if j >> m & 1]
        expected = fusion.product_of_experts(subset, prior=prior)
        got = Gaussian(mixture.means[j - 1], mixture.log_variances[j - 1])
        _assert_gaussian(got, expected.mean, jnp.exp(expected.log_variance))


@pytest.mark.parametrize("prior", [False, True])
@pytest.mark.parametrize("present", _ALL_MASKS[1:])
def test_mopoe_of_a_masked_set_is_that_of_the_present_ones(present, prior, x64):
    experts = _experts()
    masked = fusion.mopoe(experts, present=present, prior=prior)
    alone = fusion.mopoe([experts[m] for m in np.flatnonzero(present)], prior=prior)
    counts = np.isfinite(masked.log_weights)
    assert counts.sum() == 2 ** present.sum() - 1
    np.testing.assert_allclose(masked.log_weights[counts], alone.log_weights, atol=1e-12)
    np.testing.assert_allclose(masked.means[counts], alone.means, atol=1e-12)
    np.testing.assert_allclose(masked.log_variances[counts], alone.log_variances, atol=1e-12)


def test_mopoe_of_one_is_that_expert(x64):
    (expert,) = _experts(num=1)
    mixture = fusion.mopoe([expert], prior=False)
    assert mixture.log_weights.shape == (1,)
    _assert_gaussian(
        Gaussian(mixture.means[0], mixture.log_variances[0]),
        expert.mean,
        jnp.exp(expert.log_variance),
    )
    got = fusion.mixture_moments(fusion.mopoe([expert]))
    expected = fusion.product_of_experts([expert])
    _assert_gaussian(got, expected.mean, jnp.exp(expected.log_variance))


def test_moments_of_a_mixture_by_hand(x64):
    # Weights 1/4 and 3/4, N(0, 1) and N(4, 3): mean 3, variance 1/4 + 9/4 + 3/4 · 1/4 · 16 = 5.5.
    mixture = GaussianMixture(
        jnp.log(jnp.array([0.25, 0.75])),
        jnp.array([[0.0], [4.0]]),
        jnp.log(jnp.array([[1.0], [3]])),
    )
    _assert_gaussian(fusion.mixture_moments(mixture), [3.0], [5.5])


def test_log_density_of_a_mixture_is_that_of_scipy(x64):
    experts = _experts(batch=(8,))
    mixture = fusion.mixture_of_experts(experts, present=_ALL_MASKS)
    z = np.random.default_rng(1).normal(size=(4, 8, 2))
    got = fusion.mixture_log_density(mixture, z)
    assert got.shape == (4, 8)
    scale = np.exp(mixture.log_variances / 2)
    parts = norm.pdf(z[..., None, :], mixture.means, scale).prod(axis=-1)
    expected = np.log(np.sum(np.exp(mixture.log_weights) * parts, axis=-1))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_gradients_of_density_and_moments_with_absent_components_are_finite(strict):
    experts = _experts(batch=(8,))
    f = lambda mixture: (
        jnp.sum(fusion.mixture_log_density(mixture, jnp.ones((8, 2))))
        + sum(map(jnp.sum, fusion.mixture_moments(mixture)))
    )
    g = lambda experts: f(fusion.mixture_of_experts(experts, present=_ALL_MASKS))
    slopes = jax.grad(g)(experts)
    for m, slope in enumerate(slopes):
        for leaf in slope:
            assert np.isfinite(leaf).all()
            assert not leaf[~_ALL_MASKS[:, m]].any()
            assert leaf[_ALL_MASKS[:, m]].all()


def test_samples_have_the_moments_of_their_distribution():
    # 2e5 draws: the standard error of a mean is σ/447, of a variance below σ²√κ/447, κ < 3.
    n = 200_000
    gaussian = _gaussian([1.0, -2.0], [4.0, 0.25])
    z = fusion.sample_gaussian(jax.random.key(0), gaussian, (n,))
    assert z.shape == (n, 2)
    _assert_gaussian(gaussian, z.mean(axis=0), z.var(axis=0), atol=0.06)
    experts = [
        _gaussian([[-3.0], [1.0]], [[1.0], [2.0]]),
        _gaussian([[3.0], [5.0]], [[1.0], [0.5]]),
    ]
    mixture = fusion.mixture_of_experts(experts, present=np.array([[True, True], [False, True]]))
    z = fusion.sample_mixture(jax.random.key(1), mixture, (n,))
    assert z.shape == (n, 2, 1)
    moments = fusion.mixture_moments(mixture)
    _assert_gaussian(moments, [[0.0], [5.0]], [[10.0], [0.5]], atol=1e-5)
    _assert_gaussian(moments, z.mean(axis=0), z.var(axis=0), atol=0.12)


def test_samples_are_independent_over_the_batch_and_repeatable():
    gaussian = Gaussian(jnp.zeros((3, 4), jnp.bfloat16), jnp.zeros((3, 4)))
    z = fusion.sample_gaussian(jax.random.key(0), gaussian)
    assert z.shape == (3, 4)
    assert z.dtype == jnp.bfloat16
    assert len(np.unique(z.astype(np.float32))) == 12
    np.testing.assert_array_equal(z, fusion.sample_gaussian(jax.random.key(0), gaussian))


def test_gradient_of_a_sample_reaches_its_component_only():
    key = jax.random.key(2)
    mixture = GaussianMixture(
        jnp.log(jnp.array([0.5, 0.5])), jnp.array([[0.0], [9.0]]), jnp.zeros((2, 1))
    )
    z = fusion.sample_mixture(key, mixture)
    chosen = int(z[0] > 4.5)
    slope = jax.grad(lambda mixture: fusion.sample_mixture(key, mixture)[0])(mixture)
    assert not slope.log_weights.any()
    # z = μ + exp(½ log σ²) ε, so ∂z/∂μ = 1 and ∂z/∂log σ² = (z − μ) / 2.
    np.testing.assert_allclose(slope.means[:, 0], np.eye(2)[chosen])
    expected = np.eye(2)[chosen] * (z[0] - mixture.means[chosen, 0]) / 2
    np.testing.assert_allclose(slope.log_variances[:, 0], expected, rtol=1e-5)


def test_experts_share_batch_axes_and_mix_dtypes(strict):
    one = Gaussian(jnp.ones(2, jnp.bfloat16), jnp.zeros(2))
    many = Gaussian(jnp.zeros((3, 2), jnp.bfloat16), jnp.ones((3, 2)))
    for fused in (
        fusion.product_of_experts([one, many]),
        fusion.mixture_moments(fusion.mixture_of_experts([one, many])),
        fusion.mixture_moments(fusion.mopoe([one, many])),
    ):
        assert fused.mean.shape == fused.log_variance.shape == (3, 2)
        assert (fused.mean.dtype, fused.log_variance.dtype) == (jnp.bfloat16, jnp.float32)


def test_the_table_gives_the_moments_of_the_functions():
    experts = _experts(batch=(8,))
    xs = [jnp.concatenate(expert, axis=-1) for expert in experts]
    for name in ("product_of_experts", "mixture_of_experts", "mopoe"):
        fused = getattr(fusion, name)(experts, present=_ALL_MASKS)
        moments = fused if isinstance(fused, Gaussian) else fusion.mixture_moments(fused)
        got = fusion.OPERATORS[name].apply(xs, (), present=_ALL_MASKS)
        np.testing.assert_allclose(got, jnp.concatenate(moments, axis=-1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["product_of_experts", "mixture_of_experts", "mopoe"])
def test_what_is_no_expert_is_refused(name, no_jaxtyping):
    function = getattr(fusion, name)
    one = Gaussian(jnp.zeros((3, 2)), jnp.zeros((3, 2)))
    with pytest.raises(
        TypeError, match=rf"^{name}: every expert must be a Gaussian, got .+; .+\.$"
    ):
        function(one)
    with pytest.raises(
        ValueError, match=rf"^{name}: mean and log-variance .+ experts \[1\]; .+\.$"
    ):
        function([one, Gaussian(jnp.zeros((3, 2)), jnp.zeros(2))])
    with pytest.raises(ValueError, match=rf"^{name}: all modalities must have one width d, got .+"):
        function([one, Gaussian(jnp.zeros((3, 4)), jnp.zeros((3, 4)))])
    with pytest.raises(ValueError, match=rf"^{name}: .+ must have an even width 2d, .+ \[4, 3\]; "):
        fusion.OPERATORS[name].apply([jnp.zeros((3, 4)), jnp.zeros((3, 3))], ())
