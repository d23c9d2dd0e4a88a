"""The gated unit: the paper's form for two, and the shares of its modalities."""

import jax
import jax.numpy as jnp
import numpy as np

from crossmodal_jax import fusion


def test_two_modalities_give_the_logistic_gate_of_the_paper(x64):
    # softmax over two logits = σ of their difference, so z = g ⊙ h₁ + (1 − g) ⊙ h₂.
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 5))
    weights = fusion.GatedWeights(
        kernels=(jnp.asarray(rng.normal(size=(3, 4))), jnp.asarray(rng.normal(size=(5, 4)))),
        biases=jnp.zeros((2, 4)),
        gate_kernel=jnp.asarray(rng.normal(size=(10, 2, 4))),
        gate_bias=jnp.zeros((2, 4)),
    )
    kernel = np.asarray(weights.gate_kernel[:, 0] - weights.gate_kernel[:, 1])
    gate = 1 / (1 + np.exp(-np.concatenate([x, y, np.ones((6, 2))], axis=1) @ kernel))
    expected = gate * np.tanh(x @ weights.kernels[0]) + (1 - gate) * np.tanh(y @ weights.kernels[1])
    np.testing.assert_allclose(fusion.gated([x, y], weights), expected, rtol=0, atol=1e-12)


def test_another_activation_takes_the_place_of_tanh(x64):
    rng = np.random.default_rng(1)
    xs = [jnp.asarray(rng.normal(size=(6, d))) for d in (3, 5)]
    weights = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)),
        fusion.init_gated(jax.random.key(0), (3, 5), 4),
    )
    got = fusion.gated(xs, weights, activation=lambda h: h)
    # The gates do not depend on it: they are the ratio of the two, unit by unit.
    one = weights._replace(biases=jnp.stack([jnp.full(4, 1e-7), jnp.zeros(4)]))
    one = one._replace(kernels=tuple(jnp.zeros_like(k) for k in weights.kernels))
    gate = fusion.gated(xs, one) / 1e-7
    hidden = [x @ k + b for x, k, b in zip(xs, weights.kernels, weights.biases, strict=True)]
    np.testing.assert_allclose(got, gate * hidden[0] + (1 - gate) * hidden[1], atol=1e-12)


def test_shares_sum_to_one_over_the_present():
    dims = (3, 4, 5)
    weights = fusion.init_gated(jax.random.key(0), dims, 6)
    present = jnp.asarray([[p & 1, p & 2, p & 4] for p in range(8)], bool)
    xs = [jax.random.normal(jax.random.key(d), (8, d)) for d in dims]
    xs = [jnp.where(present[:, m, None], x, jnp.nan) for m, x in enumerate(xs)]
    shares = fusion.gated_weights(xs, weights, present=present)
    assert not shares[~present].any()
    np.testing.assert_allclose(shares.sum(axis=1), present.any(axis=1), rtol=1e-6)


def test_every_modality_starts_with_an_equal_share():
    weights = fusion.init_gated(jax.random.key(0), (8, 8, 8), 30)
    xs = [jax.random.normal(jax.random.key(m), (256, 8)) for m in range(3)]
    shares = fusion.gated_weights(xs, weights).mean(axis=0)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)  # the random gate kernel moves it


def test_slopes_are_those_of_the_formula_with_a_softmax_over_a_stack(x64):
    rng = np.random.default_rng(2)
    xs = [jnp.asarray(rng.normal(size=(8, d))) for d in (3, 4, 5)]
    present = jnp.asarray([[p & 1, p & 2, p & 4] for p in range(8)], bool)
    weights = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)),
        fusion.init_gated(jax.random.key(0), (3, 4, 5), 6),
    )

    def plain(xs, weights):
        xs = [jnp.where(present[:, [m]], x, 0) for m, x in enumerate(xs)]
        joint = jnp.concatenate([*xs, present], axis=1)
        logits = jnp.einsum("nj,jmd->nmd", joint, weights.gate_kernel) + weights.gate_bias
        odds = jnp.exp(logits) * present[..., None]
        gates = odds / (odds.sum(axis=1, keepdims=True) + ~present.any(axis=1)[:, None, None])
        hidden = [x @ kernel for x, kernel in zip(xs, weights.kernels, strict=True)]
        return jnp.sum(gates * jnp.sin(jnp.stack(hidden, axis=1) + weights.biases), axis=1)

    def ours(xs, weights):
        return fusion.gated(xs, weights, present=present, activation=jnp.sin)

    def slopes(function):
        loss = lambda xs, weights: jnp.sum(jnp.square(function(xs, weights) + 1))
        first = jax.grad(loss, (0, 1))
        # Forward over reverse, along the arguments themselves.
        return first(xs, weights), jax.jvp(first, (xs, weights), (xs, weights))[1]

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10),
        slopes(ours),
        slopes(plain),
    )
