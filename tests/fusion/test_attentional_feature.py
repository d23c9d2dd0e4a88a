"""Attentional feature fusion: the paper's two modalities and its second iteration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from crossmodal_jax import fusion


def _case(dims=(3, 5), dim=4, **options):
    rng = np.random.default_rng(0)
    xs = [jnp.asarray(rng.normal(size=(6, d))) for d in dims]
    weights = fusion.init_attentional_feature(jax.random.key(0), dims, dim, **options)
    return xs, jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), weights)


def _paper_gate(u, weights, iteration):
    """m = σ(local(u) + global(u)), each branch two layers, its logit that of x against y."""
    bias = weights.up_biases[iteration]
    total = np.asarray(bias[0] - bias[1])
    for branch in range(2):
        kernel = weights.up_kernels[iteration][branch]
        hidden = u @ weights.down_kernels[iteration][:, branch]
        hidden = np.maximum(hidden + weights.down_biases[iteration][branch], 0)
        total = total + hidden @ (kernel[:, 0] - kernel[:, 1])
    return expit(total)


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_two_modalities_are_those_of_the_paper(iterations, x64):
    xs, weights = _case(iterations=iterations, hidden=7)
    x, y = (v @ kernel for v, kernel in zip(xs, weights.kernels, strict=True))
    u = x + y
    for iteration in range(iterations):
        m = _paper_gate(u, weights, iteration)
        u = m * x + (1 - m) * y
    np.testing.assert_allclose(fusion.attentional_feature(xs, weights), u, rtol=0, atol=1e-12)


def test_even_gates_give_the_mean(x64):
    rng = np.random.default_rng(1)
    xs = [jnp.asarray(rng.normal(size=(8, 4))) for _ in range(3)]
    weights = fusion.init_attentional_feature(jax.random.key(0), (4, 4, 4), 4, iterations=2)
    even = jax.tree.map(jnp.zeros_like, weights)._replace(kernels=(jnp.eye(4),) * 3)
    present = jnp.asarray([[p & 1, p & 2, p & 4] for p in range(8)], bool)
    got = fusion.attentional_feature(xs, even, present=present)
    np.testing.assert_allclose(got, fusion.mean(xs, present=present), rtol=0, atol=1e-12)


@pytest.mark.parametrize("iterations", [1, 2])
def test_one_alone_passes_and_the_absent_are_as_if_never_there(iterations, x64):
    xs, weights = _case(dims=(3, 5, 4), iterations=iterations)
    got = fusion.attentional_feature(xs, weights, present=jnp.array([False, True, False]))
    np.testing.assert_allclose(got, xs[1] @ weights.kernels[1], rtol=0, atol=1e-12)
    got = fusion.attentional_feature(xs, weights, present=jnp.array([True, False, True]))
    fewer = weights._replace(
        kernels=weights.kernels[::2],
        up_kernels=tuple(kernel[:, :, ::2] for kernel in weights.up_kernels),
        up_biases=tuple(bias[::2] for bias in weights.up_biases),
    )
    expected = fusion.attentional_feature(xs[::2], fewer)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_every_unit_lies_between_the_modalities():
    xs, weights = _case(dims=(3, 5, 4), iterations=2)
    mapped = jnp.stack([x @ kernel for x, kernel in zip(xs, weights.kernels, strict=True)])
    fused = fusion.attentional_feature(xs, weights)
    assert (fused <= mapped.max(axis=0) + 1e-5).all()
    assert (fused >= mapped.min(axis=0) - 1e-5).all()


@pytest.mark.parametrize("iterations", [1, 2])
@pytest.mark.parametrize("num", [1, 2, 6])
def test_initial_variance(num, iterations):
    # √M Σ gᵢ² with nearly even gates: 1/√M and a little more.
    xs = [jax.random.normal(jax.random.key(m), (512, 32)) for m in range(num)]
    weights = fusion.init_attentional_feature(
        jax.random.key(7), (32,) * num, 64, iterations=iterations
    )
    square = jnp.mean(fusion.attentional_feature(xs, weights) ** 2)
    assert 0.95 < square * num**0.5 < 1.7


def test_widths_iterations_and_their_errors(no_jaxtyping):
    init = lambda dim, **options: fusion.init_attentional_feature(
        jax.random.key(0), (3, 5), dim, **options
    )
    assert [init(dim).down_kernels[0].shape[2] for dim in (4, 32, 64)] == [8, 8, 16]
    assert len(init(4).up_kernels) == 1
    leaves = jax.tree.leaves(init(4, iterations=2))
    # No array twice: a training step that donates its weights could not give it away twice.
    assert len({id(leaf) for leaf in leaves}) == len(leaves) == 2 + 4 * 2
    message = r"^init_attentional_feature: `(iterations|hidden)` must be at least 1, got 0; .+"
    for options in ({"iterations": 0}, {"hidden": 0}):
        with pytest.raises(ValueError, match=message):
            init(4, **options)
    with pytest.raises(ValueError, match=r"^attentional_feature: `weights` must .+ \[5, 3\]; .+"):
        fusion.attentional_feature([jnp.ones(5), jnp.ones(3)], init(4))
