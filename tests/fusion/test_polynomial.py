"""Polynomial fusion: its degree, its order and rank, and the tensor that it stands for."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

_DIMS, _DIM = (3, 4, 2), 5


def _case(order, rank):
    present = np.array(list(itertools.product([False, True], repeat=3)))
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(8, d)) for d in _DIMS]
    init = functools.partial(fusion.init_polynomial, dims=_DIMS, dim=_DIM, order=order, rank=rank)
    shapes = jax.eval_shape(init, jax.random.key(0))
    weights = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)
    return xs, weights, present


@pytest.mark.parametrize(("order", "rank"), [(1, 3), (2, None), (3, 1), (4, 6)])
def test_is_a_cp_tensor_on_powers_of_the_concatenation(order, rank, x64):
    xs, weights, present = _case(order, rank)
    assert weights.out_kernel.shape == (rank or _DIM, _DIM)
    hidden = [np.where(present[:, m, None], x, np.nan) for m, x in enumerate(xs)]
    got = jax.jit(fusion.polynomial)(hidden, weights, present=present)
    joint = np.concatenate(
        [np.ones((8, 1)), *(x * present[:, m, None] for m, x in enumerate(xs))], axis=1
    )
    # [1; x₁; …; x_M] on the P axes of Σᵣ ⊗ₚ [oₚᵣ; Wₚᵣ] cᵣ.
    factors = np.concatenate([weights.offsets[None], *weights.kernels])
    letters = "abcd"[:order]
    tensor = np.einsum(
        ",".join(f"{letter}r" for letter in letters) + f",rz->{letters}z",
        *(factors[:, p] for p in range(order)),
        weights.out_kernel,
    )
    expected = np.einsum(
        ",".join(f"n{letter}" for letter in letters) + f",{letters}z->nz",
        *[joint] * order,
        tensor,
    )
    np.testing.assert_allclose(got, expected + weights.bias, rtol=0, atol=1e-11)


def test_order_one_is_a_linear_map(x64):
    xs, weights, present = _case(1, 6)
    kernel = np.concatenate(weights.kernels)[:, 0] @ weights.out_kernel
    bias = weights.offsets[0] @ weights.out_kernel + weights.bias
    joint = np.concatenate([x * present[:, m, None] for m, x in enumerate(xs)], axis=1)
    got = jax.jit(fusion.polynomial)(xs, weights, present=present)
    np.testing.assert_allclose(got, joint @ kernel + bias, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_degree_along_a_line_is_the_order(order, x64):
    xs, weights, _ = _case(order, 7)
    times = np.arange(order + 2.0)[:, None, None]
    values = jax.jit(fusion.polynomial)([times * x for x in xs], weights)
    differences = np.diff(values, n=order + 1, axis=0)
    np.testing.assert_allclose(differences, 0, atol=1e-10)
    assert np.abs(np.diff(values, n=order, axis=0)).max() > 1


@pytest.mark.parametrize(("order", "rank"), [(1, 64), (3, 1), (6, 256)])
def test_initial_mean_square_is_one(order, rank):
    def mean_square(key):
        weights = fusion.init_polynomial(key, (64, 512), 64, order=order, rank=rank)
        return jnp.mean(fusion.polynomial(xs, weights) ** 2)

    xs = [jax.random.normal(jax.random.key(d), (32, d)) for d in (64, 512)]
    keys = jax.random.split(jax.random.key(0), 16)
    measured = jax.jit(functools.partial(jax.lax.map, mean_square))(keys)
    assert 1 / 2 < np.mean(measured) < 2


@pytest.mark.parametrize("option", ["order", "rank"])
def test_nothing_to_multiply_is_refused(option):
    message = rf"^init_polynomial: `{option}` must be at least 1, got 0; .+\.$"
    with pytest.raises(ValueError, match=message):
        fusion.init_polynomial(jax.random.key(0), (3, 4), 2, **{option: 0})


def test_weights_for_other_widths_are_refused(no_jaxtyping):
    weights = fusion.init_polynomial(jax.random.key(0), (3, 4), 2)
    xs = [np.ones((2, 3), np.float32), np.ones((2, 5), np.float32)]
    message = r"^polynomial: `weights` must have one kernel .* width \[3, 5\]; .+\.$"
    with pytest.raises(ValueError, match=message):
        fusion.polynomial(xs, weights)
