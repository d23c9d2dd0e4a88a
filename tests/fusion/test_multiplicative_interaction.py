"""Multiplicative interaction: its three forms, and what each becomes in a special case."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

_DIMS, _DIM = (3, 4, 2), 5


def _case(dims, form):
    present = np.array(list(itertools.product([False, True], repeat=len(dims))))
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(len(present), d)) for d in dims]
    xs = [np.where(present[:, m, None], x, np.nan) for m, x in enumerate(xs)]
    init = fusion.init_multiplicative_interaction
    shapes = jax.eval_shape(
        functools.partial(init, dims=dims, dim=_DIM, form=form), jax.random.key(0)
    )
    weights = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)
    return xs, weights, present


def test_without_products_it_is_a_linear_map_of_the_concatenation(x64):
    xs, weights, present = _case(_DIMS, "matrix")
    weights = weights._replace(interactions=tuple(0 * w for w in weights.interactions))
    # The indicators at the end of the concatenation get no weight.
    kernel = np.concatenate([*weights.kernels, np.zeros((3, _DIM))])
    expected = np.asarray(jax.jit(fusion.concat)(xs, present=present)) @ kernel + weights.bias
    got = jax.jit(fusion.multiplicative_interaction)(xs, weights, present=present)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", ["vector", "scalar"])
def test_first_modality_scales_the_others_of_those_present(form, x64):
    xs, weights, present = _case(_DIMS, form)
    assert weights.scale_kernel.shape == (3, _DIM if form == "vector" else 1)
    got = jax.jit(fusion.multiplicative_interaction)(xs, weights, present=present)
    for i, (first, *others) in enumerate(present):
        scale, expected = weights.scale_bias, weights.bias
        if first:
            scale = scale + xs[0][i] @ weights.scale_kernel
            expected = expected + xs[0][i] @ weights.kernels[0]
        for m, here in enumerate(others, 1):
            if here:
                expected = expected + scale * (xs[m][i] @ weights.kernels[m])
        np.testing.assert_allclose(got[i], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", ["vector", "scalar"])
def test_vector_and_scalar_forms_are_matrix_forms(form, x64):
    # Wₚᵩₖ = Wₚₖ Uᵩₖ is diagonal where the paper's U is the identity; the linear map of x₂ is v ⊙ U.
    xs, weights, present = _case((3, 4), form)
    scale = np.broadcast_to(weights.scale_kernel, (3, _DIM))
    matrix = fusion.MatrixInteractionWeights(
        interactions=(np.einsum("pk,qk->pqk", scale, weights.kernels[1]),),
        kernels=(weights.kernels[0], weights.scale_bias * weights.kernels[1]),
        bias=weights.bias,
    )
    apply = jax.jit(fusion.multiplicative_interaction)
    got, expected = (apply(xs, w, present=present) for w in (weights, matrix))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_vector_form_of_the_paper_worked_out_by_hand():
    # z = (W x₁ + v) ⊙ x₂ + U x₁ + b with x₁ = 2, x₂ = (3, 5).
    weights = fusion.VectorInteractionWeights(
        scale_kernel=jnp.array([[1.0, 10.0]]),
        scale_bias=jnp.array([4.0, 6.0]),
        kernels=(jnp.array([[7.0, 8.0]]), jnp.eye(2)),
        bias=jnp.array([100.0, 200.0]),
    )
    xs = [jnp.array([2.0]), jnp.array([3.0, 5.0])]
    apply = fusion.multiplicative_interaction
    np.testing.assert_array_equal(apply(xs, weights), [6 * 3 + 114, 26 * 5 + 216])
    for present, expected in (
        ([True, False], [114, 216]),
        ([False, True], [4 * 3 + 100, 6 * 5 + 200]),
        ([False, False], [100, 200]),
    ):
        np.testing.assert_array_equal(apply(xs, weights, present=jnp.array(present)), expected)


@pytest.mark.parametrize("form", ["vector", "scalar"])
@pytest.mark.parametrize("dims", [(8, 512), (64,) * 6])
def test_initial_variance_is_that_of_the_inputs(form, dims):
    init, apply = fusion.init_multiplicative_interaction, fusion.multiplicative_interaction
    xs = [jax.random.normal(jax.random.key(m), (64, d)) for m, d in enumerate(dims)]

    def mean_square(key):
        return jnp.mean(apply(xs, init(key, dims, 32, form=form)) ** 2)

    keys = jax.random.split(jax.random.key(0), 32)
    measured = jax.jit(functools.partial(jax.lax.map, mean_square))(keys)
    assert 2 / 3 < np.mean(measured) < 3 / 2


def test_other_forms_are_refused():
    init = fusion.init_multiplicative_interaction
    message = r"^init_multiplicative_interaction: `form` must be one of .*got 'cubic'; .+\.$"
    with pytest.raises(ValueError, match=message):
        init(jax.random.key(0), (3, 4), 2, form="cubic")
    for form in ("vector", "scalar"):
        message = rf"form '{form}' must have a second modality to scale, got dims=\(3,\); .+\.$"
        with pytest.raises(ValueError, match=message):
            init(jax.random.key(0), (3,), 2, form=form)


def test_weights_for_other_widths_are_refused(no_jaxtyping):
    weights = fusion.init_multiplicative_interaction(jax.random.key(0), (3, 4), 2)
    xs = [np.ones((2, 3), np.float32), np.ones((2, 5), np.float32)]
    message = (
        r"^multiplicative_interaction: `weights` must have one kernel .* width \[3, 5\]; .+\.$"
    )
    with pytest.raises(ValueError, match=message):
        fusion.multiplicative_interaction(xs, weights)
