"""Evidence bounds, in a model whose evidence is known: linear, Gaussian, with one latent number.

p(z) = N(0, 1) and p(xᵢ | z) = N(wᵢ z + bᵢ, sᵢ² I). The likelihood of each modality is a Gaussian
expert of z, so the product of experts is the posterior. The expectation over q of a function that
is quadratic in z is its mean over the two points μ ± σ.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from crossmodal_jax import fusion, losses

WIDTHS = (2, 1, 3)
_RNG = np.random.default_rng(0)
WEIGHTS = [_RNG.normal(size=d) for d in WIDTHS]
BIASES = [_RNG.normal(size=d) for d in WIDTHS]
LOG_VARIANCES = np.array([0.3, -0.5, 1.0])
PRESENT = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], bool)
XS = [_RNG.normal(size=(len(PRESENT), d)) for d in WIDTHS]
# What is absent is never looked at.
BROKEN = [np.where(PRESENT[:, [i]], x, np.nan) for i, x in enumerate(XS)]


def evidence(row):
    """log p of the present modalities of one row, from their joint covariance."""
    kept = np.flatnonzero(PRESENT[row])
    if not kept.size:
        return 0.0
    w, b, x = (
        np.concatenate([v[i] for i in kept]) for v in (WEIGHTS, BIASES, [x[row] for x in XS])
    )
    noise = np.concatenate([np.full(WIDTHS[i], np.exp(LOG_VARIANCES[i])) for i in kept])
    return stats.multivariate_normal.logpdf(x, b, np.outer(w, w) + np.diag(noise))


EVIDENCE = np.array([evidence(row) for row in range(len(PRESENT))])


def experts():
    """The likelihoods as Gaussians of z."""
    found = []
    for x, w, b, log_variance in zip(BROKEN, WEIGHTS, BIASES, LOG_VARIANCES, strict=True):
        mean = ((x - b) @ w / (w @ w))[:, None]
        found.append(fusion.Gaussian(mean, np.full_like(mean, log_variance - np.log(w @ w))))
    return found


def log_likelihoods(z):
    terms = []
    for i, (x, w, b) in enumerate(zip(BROKEN, WEIGHTS, BIASES, strict=True)):
        options = {"where": PRESENT[:, i]}
        terms.append(losses.gaussian_log_likelihood(x, z * w + b, LOG_VARIANCES[i], **options))
    return jnp.stack(terms, axis=-1)


def mean_log_likelihoods(q):
    mean, log_variance = q
    points = [log_likelihoods(mean + s * jnp.exp(log_variance / 2)) for s in (-1, 1)]
    return sum(points) / 2


def parts(q):
    """What the losses take, of a posterior q and the experts of the model."""
    single = [
        losses.gaussian_divergence(*q, *e, where=PRESENT[:, i]) for i, e in enumerate(experts())
    ]
    return mean_log_likelihoods(q), losses.gaussian_divergence(*q), jnp.stack(single, axis=-1)


@jax.jit
def bounds(shift, stretch):
    """The loss for a posterior that is moved by `shift` and whose log-variance is by `stretch`."""
    q = fusion.product_of_experts(experts(), present=PRESENT)
    terms, divergence, _ = parts(fusion.Gaussian(q.mean + shift, q.log_variance + stretch))
    return losses.elbo_loss(terms, divergence, present=PRESENT)


def test_the_bound_is_the_evidence_at_the_posterior_and_worse_elsewhere(x64):
    np.testing.assert_allclose(-bounds(0.0, 0.0), EVIDENCE, rtol=1e-12, atol=1e-12)
    for shift, stretch in [(0.5, 0.0), (-0.01, 0.0), (0.0, 0.7), (0.0, -2.0), (1.0, 1.0)]:
        assert (bounds(shift, stretch) > -EVIDENCE).all()
    slopes = jax.jit(jax.jacfwd(bounds, (0, 1)))(0.0, 0.0)
    np.testing.assert_allclose(np.stack(slopes), 0, atol=1e-12)


def test_special_cases_of_mvtcae_and_jmvae(x64):
    @jax.jit
    def run(alpha):
        args = parts(fusion.product_of_experts(experts(), present=PRESENT))
        options = {"present": PRESENT, "beta": 0.7, "weights": np.array([1.0, 2.0, 0.5])}
        found = [f(*args, alpha=alpha, **options) for f in (losses.mvtcae_loss, losses.jmvae_loss)]
        return [losses.elbo_loss(*args[:2], **options), *found]

    elbo, *without = run(0.0)
    for loss in without:
        np.testing.assert_allclose(loss, elbo, rtol=1e-12)
    # All is linear in α.
    ends, half = np.array([without, run(1.0)[1:]]), run(0.5)[1:]
    np.testing.assert_allclose(half, ends.mean(axis=0), rtol=1e-12)
    assert np.abs(np.diff(ends, axis=0)[..., :3]).min() > 0.1


def test_one_modality_whose_expert_is_the_posterior_gives_a_share_of_the_bound(x64):
    terms, divergence, nothing = np.array([[-3.0]]), np.array([1.5]), np.zeros((1, 1))
    elbo = losses.elbo_loss(terms, divergence)
    got = losses.mvtcae_loss(terms, divergence, nothing, alpha=0.3)
    np.testing.assert_allclose(got, 0.7 * elbo, rtol=1e-12)
    got = losses.jmvae_loss(terms, divergence, nothing, alpha=0.3)
    np.testing.assert_allclose(got, elbo, rtol=1e-12)


def test_one_draw_with_the_log_ratio_instead_of_the_divergence(x64):
    # The mean of log q(z) − log p(z) is KL(q ‖ p); at the posterior every draw gives the evidence.
    @jax.jit
    def run(key):
        mask = jnp.asarray(PRESENT).at[:, 1:].set(False)
        q = fusion.mopoe(experts()[:1], present=mask[:, :1])
        z = fusion.sample_mixture(key, q)
        ratio = fusion.mixture_log_density(q, z)
        ratio -= losses.gaussian_log_likelihood(z, jnp.zeros_like(z))
        return losses.elbo_loss(log_likelihoods(z), ratio, present=mask)

    rows = PRESENT[:, 0]
    covariance = np.outer(WEIGHTS[0], WEIGHTS[0]) + np.exp(LOG_VARIANCES[0]) * np.eye(2)
    expected = stats.multivariate_normal.logpdf(XS[0], BIASES[0], covariance) * rows
    np.testing.assert_allclose(-run(jax.random.key(0)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("payload", [np.nan, np.inf, -1e30])
def test_what_absent_modalities_hold_is_ignored(payload):
    rng = np.random.default_rng(1)
    terms, divergences = rng.normal(size=(2, 4, 3)).astype(np.float32)
    divergence = rng.uniform(size=4).astype(np.float32)

    @jax.jit
    def run(terms, divergences):
        def total(terms, divergences):
            args = (terms, divergence, divergences)
            found = [
                loss(*args, present=PRESENT) for loss in (losses.mvtcae_loss, losses.jmvae_loss)
            ]
            found.append(losses.elbo_loss(terms, divergence, present=PRESENT))
            found.append(losses.mmvae_loss(jnp.stack([terms, divergences]), present=PRESENT))
            return jnp.sum(jnp.stack(found) * jnp.arange(1.0, 5)[:, None])

        return jax.value_and_grad(total, (0, 1))(terms, divergences)

    clean = run(*(np.where(PRESENT, x, np.float32(0)) for x in (terms, divergences)))
    broken = run(*(np.where(PRESENT, x, np.float32(payload)) for x in (terms, divergences)))
    jax.tree.map(np.testing.assert_array_equal, broken, clean)


def test_divergence_is_0_only_between_equals_and_survives_extremes():
    mean, log_variance = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    function = lambda *q: losses.gaussian_divergence(*q, mean, log_variance)
    value, pull = jax.vjp(function, mean, log_variance)
    np.testing.assert_array_equal(value, 0)
    for slope in pull(jnp.ones_like(value)):
        np.testing.assert_allclose(slope, 0, atol=1e-6)
    # KL(N(0, e⁻⁸⁰) ‖ N(0, 1)) and KL(N(1e-15, e⁻⁸⁰) ‖ N(0, e⁻⁸⁰)).
    tiny = np.full((1, 1), -80.0, np.float32)
    got = losses.gaussian_divergence(np.zeros_like(tiny), tiny)
    np.testing.assert_allclose(got, 39.5, rtol=1e-6)
    got = losses.gaussian_divergence(np.full_like(tiny, 1e-15), tiny, 0.0, tiny)
    np.testing.assert_allclose(got, np.exp(80.0) * 1e-30 / 2, rtol=1e-5)


def test_shapes_that_do_not_fit_are_refused(no_jaxtyping):
    terms = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match=r"mvtcae_loss: `divergences` must have the shape"):
        losses.mvtcae_loss(terms, terms[:, 0], terms[:, :2])
    with pytest.raises(ValueError, match=r"elbo_loss: `present` must broadcast to"):
        losses.elbo_loss(terms, terms[:, 0], present=np.ones((4, 2), bool))
