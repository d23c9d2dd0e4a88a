"""Options of the multiplicative modules reach the function that they are for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from crossmodal_jax import fusion, nn

_DIMS = (3, 5)
# Each differs from the default and changes the weights or the value.
_OPTIONS = {
    "compact_bilinear": ({"sketch_dim": 9}, {"seed": 2, "implementation": "fft"}),
    "mlb": ({"hidden_dim": 6}, {"activation": jnp.sin}),
    "mfb": ({"pool_size": 2}, {"normalize": False}),
    "mfh": ({"order": 3, "pool_size": 2}, {"normalize": False}),
    "tucker": ({"core_dim": 3}, {}),
    "mutan": ({"core_dim": 6, "rank": 2}, {}),
    "block": ({"num_chunks": 3, "chunk_dim": 2, "rank": 4}, {"normalize": False}),
}


@pytest.mark.parametrize("name", _OPTIONS)
def test_module_equals_function_with_options(name):
    of_init, of_apply = _OPTIONS[name]
    module = getattr(nn, name.title().replace("_", ""))
    fuse = module(_DIMS, 4, rngs=nnx.Rngs(params=3), **of_init, **of_apply)
    if name == "block":
        of_init = {**of_init, "normalize": False}
    key = nnx.Rngs(params=3).params()
    weights = fusion.OPERATORS[name].init(key, _DIMS, 4, **of_init)
    jax.tree.map(np.testing.assert_array_equal, fuse.weights, weights)
    xs = [jax.random.normal(jax.random.key(d), (4, d)) for d in _DIMS]
    expected = fusion.OPERATORS[name].apply(xs, weights, **of_apply)
    np.testing.assert_array_equal(fuse(xs), expected)
    assert (expected != fusion.OPERATORS[name].apply(xs, weights)).any() or not of_apply
