"""Shapes, dtypes and errors that all operators share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

_RNG = np.random.default_rng(0)
_VECTORS = [name for name, operator in fusion.OPERATORS.items() if operator.kind == "vectors"]


def _case(name, dims=(3, 3)):
    operator = fusion.OPERATORS[name]
    return operator.apply, operator.init(jax.random.key(0), dims, 3)


@pytest.mark.parametrize("name", _VECTORS)
def test_batch_axes_broadcast(name):
    apply, weights = _case(name)
    one = _RNG.normal(size=3).astype(np.float32)
    many = _RNG.normal(size=(2, 5, 3)).astype(np.float32)
    present = np.array([[[True, False]], [[True, True]]])
    got = apply([one, many], weights, present=present)
    full = apply(
        [np.broadcast_to(one, many.shape), many],
        weights,
        present=np.broadcast_to(present, (2, 5, 2)),
    )
    np.testing.assert_array_equal(got, full)
    assert got.shape[:-1] == (2, 5)


@pytest.mark.parametrize("name", _VECTORS)
def test_single_modality(name):
    operator = fusion.OPERATORS[name]
    x = jnp.ones((2, 3))
    weights = operator.init(jax.random.key(0), (3,), 3)
    assert operator.apply([x], weights).shape[0] == 2
    assert jnp.isfinite(operator.apply([x], weights, present=jnp.zeros((2, 1), bool))).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", _VECTORS)
def test_mixed_dtypes_meet_in_the_wider_one(name, strict):
    apply, weights = _case(name)
    narrow, wide = jnp.ones((2, 3), jnp.bfloat16), jnp.ones((2, 3), jnp.float32)
    assert apply([narrow, wide], weights).dtype == jnp.float32


@pytest.mark.parametrize("name", ["weighted_sum", "gated"])
def test_weights_for_other_widths_are_refused(name, no_jaxtyping):
    apply, weights = _case(name)
    message = rf"{name}: `weights` must have one kernel .* width \[3, 5\]; .*init_{name}\("
    with pytest.raises(ValueError, match=message):
        apply([jnp.ones((2, 3)), jnp.ones((2, 5))], weights)
    with pytest.raises(ValueError, match="one kernel"):
        apply([jnp.ones((2, 3))], weights)


def test_mean_of_unequal_widths_is_refused():
    with pytest.raises(ValueError, match=r"mean: all modalities must have one width d, got \[2, 3"):
        fusion.mean([jnp.ones((4, 2)), jnp.ones((4, 3))])
