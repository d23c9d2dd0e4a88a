"""Evidence: closed forms for two classes, integrals for more, and evidence without bound."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from crossmodal_jax import losses

ALL = np.concatenate([[0, 1, 2, 14, 15, 16, 17], 10.0 ** np.arange(2, 7)]).astype(np.float32)


def _against(evidence):
    """Two classes, all evidence against the right one, the first."""
    return np.stack([np.zeros_like(evidence), evidence], axis=-1)


@jax.jit
def _value_and_slope(evidence, labels, weight):
    def total(evidence):
        loss = losses.evidential_loss(evidence, labels, divergence_weight=weight)
        return loss.sum(), loss

    slope, loss = jax.grad(total, has_aux=True)(evidence)
    return loss, slope


def test_closed_form_for_two_classes_in_float32():
    # Of Dir(1, a) the first share has −log p of mean 1 + ½ + … + 1/a, and KL is log a − 1 + 1/a.
    labels = np.zeros(len(ALL), np.int32)
    a = ALL.astype(np.float64) + 1
    harmonic = special.digamma(a + 1) + np.euler_gamma
    divergence = np.log(a) - 1 + 1 / a
    plain, _ = _value_and_slope(_against(ALL), labels, 0.0)
    np.testing.assert_allclose(plain, harmonic, rtol=2e-6)
    whole, slope = _value_and_slope(_against(ALL), labels, 1.0)
    # Beyond it lies a difference of the gamma functions that float32 resolves to 1e-6.
    np.testing.assert_allclose(whole - plain, divergence, rtol=3e-6, atol=3e-6)
    expected = special.polygamma(1, a + 1) + 1 / a - 1 / a**2
    np.testing.assert_allclose(slope[:, 1], expected, rtol=2e-5, atol=3e-6)


def test_both_sides_of_the_series_in_float64(x64):
    evidence = np.linspace(6.5, 8, 31)
    a, labels = evidence + 1, np.zeros(31, np.int32)
    plain, whole = (_value_and_slope(_against(evidence), labels, w)[0] for w in (0.0, 1.0))
    np.testing.assert_allclose(plain, special.digamma(a + 1) + np.euler_gamma, rtol=1e-14)
    np.testing.assert_allclose(whole - plain, np.log(a) - 1 + 1 / a, rtol=0, atol=3e-14)


def test_many_classes(x64):
    evidence = np.array([[15.9, 0.0, 14.99], [14.99, 15.01, 3.0], [2e3, 15.0, 40.0]])
    loss, _ = _value_and_slope(evidence, np.array([0, 1, 2]), 0.8)
    expected = []
    for e, y in zip(evidence, (0, 1, 2), strict=True):
        a = e + 1
        entropy = -stats.dirichlet.entropy(np.where(np.arange(3) == y, 1, a))
        density = lambda p, a=a, y=y: -np.log(p) * stats.beta.pdf(p, a[y], a.sum() - a[y])
        mean, _ = integrate.quad(density, 0, 1, epsabs=1e-12, epsrel=1e-12, limit=500)
        # Dir(1, 1, 1) has the density Γ(3) = 2 everywhere.
        expected.append(mean + 0.8 * (entropy - np.log(2)))
    np.testing.assert_allclose(loss, expected, rtol=1e-9)


def test_evidence_for_the_right_class_costs_nothing_more():
    evidence = np.array([[0, 0, 0], [10, 0, 0], [1e6, 0, 0], [1e30, 0, 0]], np.float32)
    loss, slope = _value_and_slope(evidence, np.zeros(4, np.int32), 1.0)
    np.testing.assert_allclose(loss, [1.5, 1 / 11 + 1 / 12, 0, 0], rtol=1e-5, atol=2e-6)
    assert (slope[:2, 0] < 0).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("label", [0, 3])
def test_no_evidence_and_boundless_evidence_are_finite(dtype, label):
    evidence = jnp.asarray([np.zeros(4), np.full(4, 1e6), [0, 1e6, 0, 1e30], [1e-30] * 4], dtype)
    loss, slope = _value_and_slope(evidence, np.full(4, label, np.int32), 1.0)
    assert np.isfinite(loss).all()
    assert loss.dtype == "float32"
    assert np.isfinite(np.asarray(slope, np.float32)).all()


def test_a_label_that_is_no_class_is_nan_and_never_wraps():
    labels = np.array([0, -1, 2, 3, -(2**31), -1], np.int32)
    where = np.arange(6) < 5
    got = jax.jit(losses.evidential_loss)(np.ones((6, 3), np.float32), labels, where=where)
    np.testing.assert_array_equal(np.isnan(got), [False, True, False, True, True, False])
