"""Searched cells against NumPy, the space of their layers, and presence in every layer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from crossmodal_jax import fusion, nn

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow

_DIMS = ((3, 5, 2), (4, 6))
_LAYERS = (
    fusion.CellLayer((1, 0), "tanh"),
    fusion.CellLayer((0, 1), "sigmoid"),
    fusion.CellLayer((2, 1)),
)
_PRESENT = np.array([[p & 1, p & 2] for p in range(4)], bool)


def _case(dtype="float64", layers=_LAYERS):
    rng = np.random.default_rng(0)
    features = [[rng.normal(size=(4, d)).astype(dtype) for d in widths] for widths in _DIMS]
    weights = fusion.init_fusion_cell(jax.random.key(0), _DIMS, 7, layers=layers)
    nudge = lambda leaf: jnp.asarray(np.asarray(leaf) + 0.2 * rng.normal(size=leaf.shape), dtype)
    return features, jax.tree.map(nudge, weights)


def _oracle(features, weights, present):
    acts = {"tanh": np.tanh, "sigmoid": lambda h: 1 / (1 + np.exp(-h))}
    h = np.zeros((len(present), 0))
    for layer, kernel, bias in zip(_LAYERS, weights.kernels, weights.biases, strict=True):
        x = np.where(present[:, :1], features[0][layer.features[0]], 0)
        y = np.where(present[:, 1:], features[1][layer.features[1]], 0)
        h = np.concatenate([x, y, present, h], axis=1) @ np.asarray(kernel) + np.asarray(bias)
        h = acts.get(layer.activation, lambda h: np.maximum(h, 0))(h)
    return h


def test_equals_its_definition_under_every_presence(x64):
    features, weights = _case()
    apply = jax.jit(functools.partial(fusion.fusion_cell, layers=_LAYERS))
    got = apply(features, weights, present=_PRESENT)
    np.testing.assert_allclose(got, _oracle(features, weights, _PRESENT), atol=1e-12)
    np.testing.assert_allclose(
        apply(features, weights, present=np.ones_like(_PRESENT)),
        apply(features, weights, present=None),
    )
    one = jax.jit(jax.vmap(lambda xs, present: apply(xs, weights, present=present)))
    np.testing.assert_allclose(one(features, _PRESENT), got, atol=1e-12)
    masked = functools.partial(apply, present=_PRESENT)
    check_grads(masked, (features, weights), order=1, modes=["fwd", "rev"], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_absent_payload_changes_no_value_and_no_gradient(dtype, strict):
    features, weights = _case("float32")

    @jax.jit
    def run(features, weights):
        def total(features, weights):
            z = fusion.fusion_cell(features, weights, layers=_LAYERS, present=_PRESENT)
            assert z.dtype == dtype
            return jnp.sum(z)

        return jax.value_and_grad(total, argnums=(0, 1))(features, weights)

    fill = lambda value: [
        [np.where(keep[:, None], x, np.float32(value)).astype(jnp.dtype(dtype)) for x in xs]
        for xs, keep in zip(features, _PRESENT.T, strict=True)
    ]
    expected = run(fill(0.0), weights)
    for payload in (np.nan, np.inf, 1e30):
        jax.tree.map(np.testing.assert_array_equal, run(fill(payload), weights), expected)
    for slopes, keep in zip(expected[1][0], _PRESENT.T, strict=True):
        assert not any(slope[~keep].any() for slope in slopes)


def test_features_that_no_layer_chooses_are_not_read():
    features, weights = _case("float32", layers=_LAYERS[:1])
    features[0][0] = features[0][2] = features[1][1] = np.full((4, 9), np.nan, np.float32)
    assert np.isfinite(fusion.fusion_cell(features, weights, layers=_LAYERS[:1])).all()


def test_space_has_every_layer_once():
    space = fusion.fusion_search_space((2, 3, 1), activations=("relu", "tanh"))
    assert len(space) == len(set(space)) == 2 * 3 * 2
    assert {layer.features for layer in space} == {(a, b, 0) for a in range(2) for b in range(3)}
    assert len(fusion.fusion_search_space((4, 5))) == 4 * 5 * 2


def test_relu_cells_keep_the_mean_square_of_their_inputs():
    dims = ((64, 256), (512, 8))
    layers = tuple(fusion.CellLayer((layer % 2, layer % 2)) for layer in range(3))
    features = [[jax.random.normal(jax.random.key(d), (64, d)) for d in widths] for widths in dims]

    @jax.jit
    def mean_square(keys):
        def one(key):
            weights = fusion.init_fusion_cell(key, dims, 32, layers=layers)
            return jnp.mean(fusion.fusion_cell(features, weights, layers=layers) ** 2)

        return jnp.mean(jax.lax.map(one, keys))

    assert 2 / 3 < mean_square(jax.random.split(jax.random.key(0), 8)) < 3 / 2
    weights = jax.eval_shape(
        lambda key: fusion.init_fusion_cell(key, dims, 32, layers=layers), jax.random.key(0)
    )
    # (64 + 512 + 2), (256 + 8 + 2 + 32), (64 + 512 + 2 + 32) inputs and three biases.
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == (578 + 298 + 610 + 3) * 32


def test_module_stores_the_weights():
    features, _ = _case("float32")
    fuse = nn.FusionCell(_DIMS, 7, layers=_LAYERS, rngs=nnx.Rngs(params=3))
    weights = fusion.init_fusion_cell(nnx.Rngs(params=3).params(), _DIMS, 7, layers=_LAYERS)
    jax.tree.map(np.testing.assert_array_equal, fuse.weights, weights)
    np.testing.assert_array_equal(
        jax.jit(lambda fuse: fuse(features, present=_PRESENT))(fuse),
        jax.jit(lambda w: fusion.fusion_cell(features, w, layers=_LAYERS, present=_PRESENT))(
            weights
        ),
    )


@pytest.mark.parametrize(
    "layers",
    [(), (fusion.CellLayer((3, 0)),), (fusion.CellLayer((-1, 0)),), (fusion.CellLayer((0,)),)],
)
def test_layers_that_choose_nothing_there_are_refused(layers, no_jaxtyping):
    features, weights = _case("float32")
    with pytest.raises(ValueError, match=r"^fusion_cell: `layers` must .+, got .+; .+\.$"):
        fusion.fusion_cell(features, weights, layers=layers)
    with pytest.raises(ValueError, match=r"^init_fusion_cell: `layers` must .+, got .+; .+\.$"):
        fusion.init_fusion_cell(jax.random.key(0), _DIMS, 7, layers=layers)


def test_what_does_not_fit_is_refused(no_jaxtyping):
    features, weights = _case("float32")
    call = lambda features, layers, **options: fusion.fusion_cell(
        features, weights, layers=layers, **options
    )
    with pytest.raises(ValueError, match=r"^fusion_cell: `weights` must .+ layer, got 3 and 3 for"):
        call(features, _LAYERS[:2])
    with pytest.raises(ValueError, match=r"^fusion_cell: `weights` must .+, got \(11, 7\) for 9"):
        call(features, (_LAYERS[1]._replace(features=(0, 0)), *_LAYERS[1:]))
    with pytest.raises(ValueError, match=r"`activation` must be one of .+, got 'gelu'; .+"):
        call(features, (fusion.CellLayer((0, 0), "gelu"),))
    with pytest.raises(ValueError, match=r"^fusion_cell: `present` must .+, got .+; .+\.$"):
        call(features, _LAYERS, present=np.ones((4, 3), bool))
    with pytest.raises(ValueError, match=r"^fusion_search_space: .+ must .+, got .+; .+\.$"):
        fusion.fusion_search_space((2, 0))
    with pytest.raises(ValueError, match=r"^fusion_search_space: .+ must be one of .+, got 'gelu'"):
        fusion.fusion_search_space((2, 2), activations=("gelu",))
