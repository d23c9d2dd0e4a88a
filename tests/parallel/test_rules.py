"""Layouts by rules: the first that matches, and errors that name what does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from crossmodal_jax.parallel import rule_shardings


@pytest.fixture
def mesh():
    return jax.make_mesh((2, 4), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def _params():
    layer = {"kernel": jnp.arange(64.0).reshape(8, 8), "bias": jnp.ones(8)}
    return {"towers": [layer, dict(layer)], "scale": jnp.float32(1)}


def test_the_first_rule_that_matches_is_taken(mesh):
    rules = [
        (r"towers/1/.*", jax.P()),
        (r"kernel$", jax.P(None, ("data", "model"))),
        (r"bias", jax.P("model")),
    ]
    found = rule_shardings(_params(), mesh, rules)
    specs = jax.tree.map(lambda s: s.spec, found, is_leaf=lambda s: hasattr(s, "spec"))
    assert specs["towers"][0] == {"kernel": jax.P(None, ("data", "model")), "bias": jax.P("model")}
    assert specs["towers"][1] == {"kernel": jax.P(), "bias": jax.P()}
    assert specs["scale"] == jax.P()


def test_split_parameters_compute_what_whole_ones_do(mesh):
    params, x = _params(), jnp.ones((4, 8))
    run = jax.jit(lambda p, x: jnp.sum(jnp.tanh(x @ p["towers"][0]["kernel"])))
    split = jax.device_put(params, rule_shardings(params, mesh, [("kernel", jax.P("model"))]))
    assert len(split["towers"][0]["kernel"].addressable_shards[0].data) == 2
    np.testing.assert_allclose(run(split, x), run(params, x), rtol=1e-6)


def test_what_does_not_fit_is_named(mesh):
    with pytest.raises(ValueError, match=r"rule 'kernel' must name axes of .* got \['rows'\]; ren"):
        rule_shardings(_params(), mesh, [("kernel", jax.P("rows"))])
    odd = {"a": jnp.ones((6, 3)), "b": jnp.ones((8, 3)), "c": jnp.float32(1)}
    with pytest.raises(
        ValueError, match=r"must divide over .*'a': \(\(6, 3\).*'c': \(\(\)"
    ) as found:
        rule_shardings(odd, mesh, [("", jax.P("model"))])
    assert "'b'" not in str(found.value)
