"""Tensor fusion: every product of entries, and nothing of what is absent."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion


def _patterns(num):
    return np.array(list(itertools.product([False, True], repeat=num)))


def _xs(dims, n):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, d)) for d in dims]


def test_outer_product_worked_out_by_hand():
    xs = [jnp.array([2.0, 3.0]), jnp.array([5.0]), jnp.array([7.0, 11.0])]
    expected = [1, 7, 11, 5, 35, 55, 2, 14, 22, 10, 70, 110, 3, 21, 33, 15, 105, 165]
    np.testing.assert_array_equal(fusion.outer_product(xs), expected)
    without = fusion.outer_product(xs, present=jnp.array([True, False, True]))
    expected = [1, 7, 11, 0, 0, 0, 2, 14, 22, 0, 0, 0, 3, 21, 33, 0, 0, 0]
    np.testing.assert_array_equal(without, expected)


@pytest.mark.parametrize("dims", [(4,), (3, 2), (2, 3, 4), (1, 1, 2, 1)])
def test_outer_product_is_that_of_kronecker(dims, x64):
    present = _patterns(len(dims))
    xs = _xs(dims, len(present))
    hidden = [np.where(present[:, m, None], x, np.nan) for m, x in enumerate(xs)]
    got = jax.jit(fusion.outer_product)(hidden, present=present)
    for i, here in enumerate(present):
        factors = [np.append(1.0, x[i] * p) for x, p in zip(xs, here, strict=True)]
        np.testing.assert_allclose(got[i], functools.reduce(np.kron, factors), rtol=1e-14)


# Widths for which each way to cut the outer product in two is the cheapest.
@pytest.mark.parametrize(
    ("dims", "dim"), [((5,), 3), ((9, 2), 2), ((2, 9), 9), ((7, 2, 2), 3), ((2, 2, 2, 2), 40)]
)
def test_is_a_linear_map_of_the_outer_product(dims, dim, x64):
    rng = np.random.default_rng(1)
    present = _patterns(len(dims))
    xs = _xs(dims, len(present))
    shapes = jax.eval_shape(
        lambda key: fusion.init_tensor_fusion(key, dims, dim), jax.random.key(0)
    )
    weights = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)
    got = jax.jit(fusion.tensor_fusion)(xs, weights, present=present)
    products = np.asarray(jax.jit(fusion.outer_product)(xs, present=present))
    expected = products @ weights.kernel + weights.bias
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dims", [(64,), (8, 512), (16, 16, 16)])
def test_initial_mean_square_with_absent_modalities(dims):
    # (M / (M + 2))^k with k absent, as the docstring of `init_tensor_fusion` says.
    num = len(dims)
    weights = fusion.init_tensor_fusion(jax.random.key(0), dims, 512)
    xs = [jax.random.normal(jax.random.key(m), (256, d)) for m, d in enumerate(dims)]
    apply = jax.jit(fusion.tensor_fusion)
    for absent in range(num + 1):
        z = np.asarray(apply(xs, weights, present=np.arange(num) >= absent))
        assert np.mean(z**2) == pytest.approx((num / (num + 2)) ** absent, rel=0.25)


def test_a_kernel_too_large_is_refused_with_its_size():
    message = r"init_tensor_fusion: the kernel must have fewer .*got 16974593 products · 256 = "
    with pytest.raises(ValueError, match=message + r"4345495808 for dims=\(256, 256, 256\); .+\.$"):
        fusion.init_tensor_fusion(jax.random.key(0), (256,) * 3, 256)


def test_a_kernel_for_other_widths_is_refused(no_jaxtyping):
    weights = fusion.init_tensor_fusion(jax.random.key(0), (3, 2), 4)
    message = (
        r"tensor_fusion: `weights` must have .* 24 rows .* width \[3, 5\], got a kernel \(12, 4"
    )
    with pytest.raises(ValueError, match=message):
        fusion.tensor_fusion([jnp.ones((2, 3)), jnp.ones((2, 5))], weights)


def test_outer_product_refuses_what_is_no_modality(no_jaxtyping):
    with pytest.raises(ValueError, match="outer_product: `xs` must be a sequence"):
        fusion.outer_product(jnp.ones((2, 3)))
    with pytest.raises(TypeError, match="outer_product: modalities must be floating point"):
        fusion.outer_product([jnp.ones((2, 3), jnp.int32)])
