"""Modules store what the functions take: same weights, same value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from crossmodal_jax import fusion, nn

_DIMS = (3, 5)
_XS = [np.random.default_rng(d).normal(size=(4, d)).astype(np.float32) for d in _DIMS]
_PRESENT = np.array([[True, True], [True, False], [False, True], [False, False]])
_PAIRS = [
    pytest.param(nn.WeightedSum, fusion.init_weighted_sum, fusion.weighted_sum, id="weighted_sum"),
    pytest.param(nn.GatedFusion, fusion.init_gated, fusion.gated, id="gated"),
]


@pytest.mark.parametrize(("module", "init", "function"), _PAIRS)
def test_module_equals_function(module, init, function):
    fuse = module(_DIMS, 6, rngs=nnx.Rngs(params=3))
    expected = init(nnx.Rngs(params=3).params(), _DIMS, 6)
    jax.tree.map(np.testing.assert_array_equal, fuse.weights, expected)
    got = fuse(_XS, present=_PRESENT)
    np.testing.assert_array_equal(got, function(_XS, expected, present=_PRESENT))


@pytest.mark.parametrize(("module", "init", "function"), _PAIRS)
def test_every_parameter_is_learned(module, init, function):
    # The number of parameters is that of the weights, and each one gets a gradient.
    fuse = module(_DIMS, 6, rngs=nnx.Rngs(0))
    graph, params = nnx.split(fuse)
    sizes = [x.size for x in jax.tree.leaves(init(jax.random.key(0), _DIMS, 6))]
    assert sorted(x.size for x in jax.tree.leaves(params)) == sorted(sizes)
    probe = jnp.arange(24.0).reshape(4, 6)  # no constant: that of a softmax has no gradient

    @jax.jit
    @jax.grad
    def gradient(params):
        return jnp.sum(probe * nnx.merge(graph, params)(_XS, present=_PRESENT))

    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient(params)):
        assert jnp.any(leaf != 0), path
