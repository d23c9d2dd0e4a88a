"""FiLM and the channel gate: the paper's forms, and when they leave the first modality alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

_DIMS = (3, 4, 5)
every_init = pytest.mark.parametrize("name", ["film", "channel_gate"])


def _case(name, dims=_DIMS, dim=6):
    rng = np.random.default_rng(0)
    xs = [jnp.asarray(rng.normal(size=(7, d))) for d in dims]
    weights = fusion.OPERATORS[name].init(jax.random.key(0), dims, dim)
    return xs, jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), weights)


def test_film_without_modulation_is_the_identity(x64):
    xs, weights = _case("film", dims=(3, 4, 5), dim=3)
    neutral = jax.tree.map(jnp.zeros_like, weights)._replace(kernel=jnp.eye(3))
    np.testing.assert_array_equal(fusion.film(xs, neutral), xs[0])


def test_film_of_two_is_the_paper_with_a_bias(x64):
    (x, y), w = _case("film", dims=(3, 4))
    gamma = 1 + y @ w.condition_kernels[0][:, 0] + w.condition_biases[0, 0]
    beta = y @ w.condition_kernels[0][:, 1] + w.condition_biases[0, 1]
    expected = gamma * (x @ w.kernel) + beta
    np.testing.assert_allclose(fusion.film([x, y], w), expected, rtol=0, atol=1e-12)


def test_film_without_its_subject_is_the_shift(x64):
    xs, w = _case("film")
    got = fusion.film(xs, w, present=jnp.array([False, True, True]))
    told = [x @ k[:, 1] for x, k in zip(xs[1:], w.condition_kernels, strict=True)]
    beta = sum(told) + w.condition_biases[:, 1].sum(axis=0)
    np.testing.assert_allclose(got, beta, rtol=0, atol=1e-12)


def test_channel_gate_of_two_is_the_paper_with_a_bias(x64):
    (x, y), w = _case("channel_gate", dims=(3, 4))
    hidden = np.maximum(y @ w.squeeze_kernels[0] + w.squeeze_biases[0], 0)
    expected = (x @ w.kernel) / (1 + np.exp(-hidden @ w.excite_kernel))
    np.testing.assert_allclose(fusion.channel_gate([x, y], w), expected, rtol=0, atol=1e-12)


def test_a_gate_never_amplifies():
    xs, weights = _case("channel_gate")
    bound = jnp.abs(xs[0] @ weights.kernel)
    assert (jnp.abs(fusion.channel_gate(xs, weights)) <= bound + 1e-6).all()


@every_init
def test_without_conditioners_the_first_passes(name, x64):
    xs, weights = _case(name)
    apply = fusion.OPERATORS[name].apply
    expected = xs[0] @ weights.kernel
    got = apply(xs, weights, present=jnp.array([True, False, False]))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    (x,), alone = _case(name, dims=(3,))
    np.testing.assert_allclose(apply([x], alone), x @ alone.kernel, rtol=0, atol=1e-12)


@every_init
def test_conditioners_are_exchangeable(name, x64):
    xs, w = _case(name)
    swapped = [leaf[::-1] if isinstance(leaf, tuple) or leaf.shape[0] == 2 else leaf for leaf in w]
    expected = fusion.OPERATORS[name].apply(xs, w, present=jnp.array([True, True, False]))
    got = fusion.OPERATORS[name].apply(
        [xs[0], xs[2], xs[1]], type(w)(*swapped), present=jnp.array([True, False, True])
    )
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@every_init
def test_weights_for_other_widths_are_refused(name, no_jaxtyping):
    xs, weights = _case(name)
    with pytest.raises(ValueError, match=rf"^{name}: `weights` must .+, got .+ \[3, 5, 4\]; .+\.$"):
        fusion.OPERATORS[name].apply([xs[0], xs[2], xs[1]], weights)
    with pytest.raises(ValueError, match=rf"^{name}: `weights` must .+ width \[3\]; .+\.$"):
        fusion.OPERATORS[name].apply(xs[:1], weights)


def test_width_of_the_bottleneck():
    def width(dim, **options):
        return fusion.init_channel_gate(jax.random.key(0), _DIMS, dim, **options).excite_kernel

    assert [width(dim).shape[0] for dim in (4, 128, 512)] == [8, 8, 32]
    assert width(4, hidden=3).shape == (3, 4)
    with pytest.raises(
        ValueError, match=r"^init_channel_gate: `hidden` must be at least 1, got 0;"
    ):
        width(4, hidden=0)


@every_init
def test_initial_scale_with_and_without_conditioners(name):
    # ¼ + 1 + ¼ and 1 for FiLM; about ½ and 2 for the gate.
    xs = [jax.random.normal(jax.random.key(m), (2048, 32)) for m in range(3)]
    weights = fusion.OPERATORS[name].init(jax.random.key(5), (32, 32, 32), 64)
    apply = fusion.OPERATORS[name].apply
    alone = jnp.mean(apply(xs, weights, present=jnp.array([True, False, False])) ** 2)
    told = jnp.mean(apply(xs, weights) ** 2)
    expected = {"film": (1.0, 1.5), "channel_gate": (2.0, 0.55)}[name]
    np.testing.assert_allclose((alone, told), expected, rtol=0.15)
