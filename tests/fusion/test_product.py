"""The product: what its formula alone does not show."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion


def test_a_modality_of_ones_is_as_good_as_absent(x64):
    x, y = np.random.default_rng(0).normal(size=(2, 6, 4))
    ones = np.ones_like(x)
    present = np.array([True, False, True])
    got = fusion.product([x, np.full_like(x, np.nan), y], present=present)
    np.testing.assert_allclose(got, fusion.product([x, ones, y]), rtol=1e-15)


def test_gradient_at_zero_is_the_product_of_the_others():
    # Where one factor is 0, a form by logarithms or by division would be NaN.
    slope = jax.grad(lambda x, y: fusion.product([x, y]).sum(), (0, 1))(
        jnp.array([0.0, 2.0]), jnp.array([3.0, 0.0])
    )
    np.testing.assert_array_equal(slope, [[3.0, 0.0], [0.0, 2.0]])


def test_it_is_multiplied_before_it_is_rounded():
    # 3 · (1 + 2⁻⁷) · (1 + 2⁻⁷): rounded after each factor, bfloat16 is off by one step of 2⁻⁶.
    xs = [jnp.full(1, value, jnp.bfloat16) for value in (3.0, 1 + 2**-7, 1 + 2**-7)]
    exact = np.float64(3) * (1 + 2**-7) ** 2
    assert fusion.product(xs)[0] == jnp.asarray(exact, jnp.bfloat16)


def test_unequal_widths_are_refused(no_jaxtyping):
    with pytest.raises(ValueError, match=r"product: all modalities must have one width d, got \[2"):
        fusion.product([jnp.ones((4, 2)), jnp.ones((4, 3))])
