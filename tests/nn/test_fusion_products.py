"""Options of the product modules reach the weights."""

import jax
import numpy as np
import pytest
from flax import nnx

from crossmodal_jax import fusion, nn


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("multiplicative_interaction", {"form": "vector"}),
        ("multiplicative_interaction", {"form": "scalar"}),
        ("low_rank", {"rank": 3}),
        ("polynomial", {"order": 3, "rank": 7}),
    ],
)
def test_options_reach_the_weights(name, options):
    module = getattr(nn, name.title().replace("_", ""))
    fuse = module((3, 5), 4, rngs=nnx.Rngs(params=3), **options)
    init = getattr(fusion, f"init_{name}")
    expected = init(nnx.Rngs(params=3).params(), (3, 5), 4, **options)
    assert type(fuse.weights) is type(expected)
    jax.tree.map(np.testing.assert_array_equal, fuse.weights, expected)
    xs = [np.ones((2, d), np.float32) for d in (3, 5)]
    np.testing.assert_array_equal(fuse(xs), fusion.OPERATORS[name].apply(xs, expected))
