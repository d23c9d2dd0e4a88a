"""Softmax cross-entropy: closed form, many classes, labels that are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import losses


def test_two_classes_give_the_logistic_loss():
    z = np.linspace(-50, 50, 11).astype(np.float32)
    got = losses.softmax_cross_entropy(np.stack([z, np.zeros_like(z)], -1), np.zeros(11, np.int32))
    np.testing.assert_allclose(got, np.logaddexp(0, -z.astype(np.float64)), rtol=1e-5, atol=1e-6)


def test_gradient_is_probability_minus_one_hot():
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    labels = np.array([0, 1, 2, 2])
    got = jax.grad(lambda z: losses.softmax_cross_entropy(z, labels).sum())(logits)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(got, probabilities - np.eye(3)[labels], atol=1e-6)


@pytest.mark.parametrize("label", [-1, 3, -(2**31)])
def test_a_label_that_is_no_class_is_nan_and_never_wraps(label):
    labels = np.array([0, label], np.int32)
    got = losses.softmax_cross_entropy(np.zeros((2, 3), np.float32), labels)
    np.testing.assert_array_equal(np.isnan(got), [False, True])
    kept = losses.softmax_cross_entropy(
        np.zeros((2, 3), np.float32), labels, where=np.array([True, False])
    )
    assert np.isfinite(kept).all()


def test_more_classes_than_the_type_of_the_labels_can_count():
    logits = np.zeros((1, 300), np.float32)
    got = losses.softmax_cross_entropy(logits, np.array([7], np.int8))
    np.testing.assert_allclose(got, np.log(300), rtol=1e-6)


def test_batch_axes_and_impossible_classes():
    logits = jnp.zeros((2, 3, 4)).at[..., 3].set(-jnp.inf)
    got = losses.softmax_cross_entropy(logits, jnp.ones((2, 3), jnp.int32))
    np.testing.assert_allclose(got, np.full((2, 3), np.log(3)), rtol=1e-6)


def test_one_hot_labels_are_refused(no_jaxtyping):
    with pytest.raises(ValueError, match=r"`labels` must have one class per row .*argmax"):
        losses.softmax_cross_entropy(jnp.zeros((2, 3)), jnp.zeros((2, 3), jnp.int32))
