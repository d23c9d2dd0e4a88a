"""Low-rank bilinear pooling: a multilinear form of low rank when its activation is the identity."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

_DIMS = (5, 4, 3)


def _case(rng, num=6):
    xs = [jnp.asarray(rng.normal(size=(num, d))) for d in _DIMS]
    weights = fusion.init_mlb(jax.random.key(0), _DIMS, 4, hidden_dim=7)
    return xs, jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), weights)


def test_without_tanh_it_is_a_tensor_of_low_rank(x64):
    xs, weights = _case(np.random.default_rng(0))
    tensor = np.einsum("ar,br,cr,ro->abco", *weights.kernels, weights.out_kernel)
    expected = np.einsum("na,nb,nc,abco->no", *xs, tensor)
    got = fusion.mlb(xs, weights, activation=lambda h: h)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_subset_of_the_modalities_is_the_operator_of_that_subset(x64):
    xs, weights = _case(np.random.default_rng(1))
    for m, n in itertools.combinations(range(3), 2):
        fewer = weights._replace(kernels=(weights.kernels[m], weights.kernels[n]))
        expected = fusion.mlb([xs[m], xs[n]], fewer, activation=jnp.sin)
        present = np.isin(np.arange(3), [m, n])
        got = fusion.mlb(xs, weights, present=present, activation=jnp.sin)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_odd_in_every_modality(x64):
    xs, weights = _case(np.random.default_rng(2))
    expected = -fusion.mlb(xs, weights)
    np.testing.assert_allclose(fusion.mlb([-xs[0], *xs[1:]], weights), expected, atol=1e-12)


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_initial_variance_is_the_documented_one_under_absence(absent):
    xs = [jax.random.normal(jax.random.key(m), (256, 64)) for m in range(3)]
    present = np.arange(3) >= absent

    @jax.jit
    def mean_square(key):
        weights = fusion.init_mlb(key, (64,) * 3, 32)
        return jnp.mean(fusion.mlb(xs, weights, present=present) ** 2)

    got = np.mean([mean_square(key) for key in jax.random.split(jax.random.key(9), 4)])
    assert got == pytest.approx(0.577**-absent, rel=0.15)


def test_bad_widths_and_options_are_refused(no_jaxtyping):
    weights = fusion.init_mlb(jax.random.key(0), (3, 5), 4)
    with pytest.raises(ValueError, match=r"^mlb: `weights` must have one kernel .* init_mlb\("):
        fusion.mlb([jnp.ones(3), jnp.ones(4)], weights)
    with pytest.raises(
        ValueError, match=r"^init_mlb: `hidden_dim` must be at least 1, got .*; .*\.$"
    ):
        fusion.init_mlb(jax.random.key(0), (3, 5), 4, hidden_dim=0)
