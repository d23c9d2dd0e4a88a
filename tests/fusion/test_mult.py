"""Pairs of modalities that read each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow

_RNG = np.random.default_rng(0)


def _weights(dims, dim=6):
    weights = fusion.init_mult(jax.random.key(0), dims, dim)
    return jax.tree.map(lambda leaf: jnp.asarray(_RNG.normal(size=leaf.shape)), weights)


def _tokens(dims):
    return [_RNG.normal(size=(2, t, d)) for t, d in zip((3, 2, 4), dims, strict=False)]


def test_absent_modality_is_one_that_no_one_reads_and_that_adds_zeros(x64):
    xs, weights = _tokens((5, 4, 3)), _weights((5, 4, 3))

    def unread(a, b, layers):
        return tuple(
            layer._replace(out=jnp.zeros_like(layer.out)) if b == 1 else layer for layer in layers
        )

    others = lambda a: [b for b in range(3) if b != a]
    silent = weights._replace(
        readers=tuple(
            tuple(unread(a, b, pair) for b, pair in zip(others(a), pairs, strict=True))
            for a, pairs in enumerate(weights.readers)
        ),
        out_kernel=weights.out_kernel.at[1].set(0),
    )
    got = fusion.mult(xs, weights, present=np.array([True, False, True]))
    np.testing.assert_allclose(got, fusion.mult(xs, silent), rtol=0, atol=1e-12)


def test_a_modality_that_is_alone_still_speaks(x64):
    xs, weights = _tokens((5, 4)), _weights((5, 4))
    present = np.array([True, False])
    other = [_RNG.normal(size=xs[0].shape), xs[1]]
    got = fusion.mult(xs, weights, present=present)
    assert np.abs(got - fusion.mult(other, weights, present=present)).min(axis=1).all()


def test_padding_may_stand_anywhere(x64):
    # A position counts the tokens that exist: padding on the left moves nothing.
    xs, weights = _tokens((5, 4)), _weights((5, 4))
    expected = fusion.mult(xs, weights)
    padding = np.full((2, 2, 5), np.nan)
    left = np.concatenate([padding, xs[0]], axis=1)
    middle = np.concatenate([xs[0][:, :1], padding, xs[0][:, 1:]], axis=1)
    for x in (left, middle):
        where = [~np.isnan(x[..., 0]), None]
        got = fusion.mult([x, xs[1]], weights, where=where)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_positions_are_sines_and_cosines(x64):
    # With a map of zeros the tokens are their positions alone; for dim = 4 the rates are 1 and
    # 1/100. One modality attends to itself, here with nothing to say, and adds nothing.
    weights = jax.tree.map(jnp.zeros_like, fusion.init_mult(jax.random.key(0), (5,), 4))
    weights = weights._replace(
        norms=(fusion.NormWeights(jnp.ones(4), jnp.zeros(4)),), out_kernel=jnp.eye(4)[None]
    )
    waves = np.array([[0, 0, 1, 1], [np.sin(1), np.sin(0.01), np.cos(1), np.cos(0.01)]])
    mean = waves.mean(axis=0)
    expected = (mean - mean.mean()) / np.sqrt(mean.var() + 1e-6)
    got = fusion.mult([jnp.zeros((2, 5))], weights)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
