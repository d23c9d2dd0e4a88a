"""A sequence of its own length that reads the tokens of all modalities."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))
import operators_tokens

DIMS, LENGTHS = (5, 4), (3, 4)
OPTIONS = {"num_tokens": 3, "dim_out": 2, "num_heads": 2, "num_layers": 2}
PRESENT = np.array([[True, True], [True, True], [False, True], [False, False]])
MASKS = (
    np.array([[True, True, True], [False, True, True], [True, True, True], [True, True, True]]),
    np.array([[True, True, False, True], [False] * 4, [False, True, True, False], [True] * 4]),
)


def tokens():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(4, t, d)) for t, d in zip(LENGTHS, DIMS, strict=True)]


def weights_of():
    """Weights that are neither special nor alike, in float64 if that is enabled."""
    rng = np.random.default_rng(1)
    nudge = lambda x: jnp.asarray(np.asarray(x) + 0.3 * rng.normal(size=x.shape))
    return jax.tree.map(nudge, fusion.init_translator(jax.random.key(0), DIMS, 7, **OPTIONS))


APPLY = jax.jit(fusion.translator)


def test_result_is_that_of_the_tokens_that_exist_alone(x64):
    xs, weights = tokens(), weights_of()
    got = APPLY(xs, weights, present=PRESENT, where=MASKS)
    exact = jax.tree.map(np.asarray, weights)
    for i in range(4):
        left = [x[i][mask[i]] for x, mask in zip(xs, MASKS, strict=True)]
        expected = operators_tokens.translator(left, exact, np.flatnonzero(PRESENT[i]))
        np.testing.assert_allclose(got[i], expected, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_payload_of_what_is_absent_has_no_influence(x64):
    xs, weights = tokens(), weights_of()
    masks = [mask & PRESENT[:, m, None] for m, mask in enumerate(MASKS)]

    @jax.jit
    def run(xs, weights):
        z, pull = jax.vjp(lambda xs, w: fusion.translator(xs, w, where=masks), xs, weights)
        return z, pull(jnp.cos(jnp.arange(z.size, dtype=z.dtype)).reshape(z.shape))

    filled = lambda value: [
        np.where(m[..., None], x, value) for x, m in zip(xs, masks, strict=True)
    ]
    expected = run(filled(0.0), weights)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(expected))
    # Each weight takes part.
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(expected[1][1]))
    jax.tree.map(np.testing.assert_array_equal, run(filled(np.nan), weights), expected)


@pytest.mark.slow
def test_batch_axes_are_free_and_the_dtype_is_kept():
    xs = [jnp.asarray(x, jnp.bfloat16) for x in tokens()]
    weights = weights_of()
    whole = APPLY(xs, weights)
    assert whole.dtype == jnp.bfloat16
    shaped = APPLY([xs[0].reshape(2, 2, 3, 5), xs[1].reshape(2, 2, 4, 4)], weights)
    got, expected = (z.astype(jnp.float32) for z in (shaped.reshape(4, 3, 2), whole))
    np.testing.assert_allclose(got, expected, atol=0.1)


@pytest.mark.slow
def test_first_result_has_variance_one():
    weights = fusion.init_translator(jax.random.key(0), (64,), 64, num_tokens=8, dim_out=64)
    z = APPLY([jax.random.normal(jax.random.key(1), (32, 10, 64))], weights)
    np.testing.assert_allclose(np.var(z), 1, rtol=0.1)


def test_bad_options_and_weights_are_named(no_jaxtyping):
    for option in OPTIONS:
        with pytest.raises(ValueError, match=f"init_translator: `{option}` must be at least 1"):
            fusion.init_translator(jax.random.key(0), DIMS, 4, **OPTIONS | {option: 0})
    with pytest.raises(ValueError, match=r"^translator: .*make them with init_translator\("):
        fusion.translator(tokens()[::-1], weights_of())
