"""Modules store what the functions take: same weights, same value."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from crossmodal_jax import fusion, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))
import members

_LEARNED = [
    name
    for name, member in members.OPERATORS.items()
    if member.num_weights(member.dims, member.dim) > 0
]
# Every third by day, all at night.
learned = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (i % 3 > 0)) for i, n in enumerate(_LEARNED)],
)


def _case(name):
    member = members.OPERATORS[name]
    xs = [x.astype(np.float32) for x in member.inputs(np.random.default_rng(0), 4, member.dims)]
    present = np.resize([True, True, False, True], (4, len(xs)))
    module = getattr(nn, name.title().replace("_", ""))
    return module(member.dims, member.dim, rngs=nnx.Rngs(params=3)), xs, present


@learned
def test_module_equals_function(name):
    fuse, xs, present = _case(name)
    operator, member = fusion.OPERATORS[name], members.OPERATORS[name]
    expected = operator.init(nnx.Rngs(params=3).params(), member.dims, member.dim)
    jax.tree.map(np.testing.assert_array_equal, fuse.weights, expected)
    got = fuse(xs, present=present)
    np.testing.assert_array_equal(got, operator.apply(xs, expected, present=present))


@learned
def test_every_parameter_is_learned(name):
    fuse, xs, present = _case(name)
    graph, params = nnx.split(fuse)
    assert len(jax.tree.leaves(params)) == len(jax.tree.leaves(fuse.weights))

    @jax.jit
    @jax.grad
    def gradient(params):
        z = nnx.merge(graph, params)(xs, present=present)
        # No constant: that of a softmax has no gradient.
        return jnp.sum(jnp.arange(float(z.size)).reshape(z.shape) * z)

    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient(params)):
        assert jnp.any(leaf != 0), path


def test_every_module_of_an_operator_is_tested():
    functions = {name.title().replace("_", "") for name in _LEARNED}
    modules = {n for n in dir(nn) if n in {o.title().replace("_", "") for o in fusion.OPERATORS}}
    assert modules == functions
