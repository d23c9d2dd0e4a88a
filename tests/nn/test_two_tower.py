"""Two towers: unit embeddings, absent modalities, plain JAX transformations, other frameworks."""

import functools

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from crossmodal_jax import nn

_RNG = np.random.default_rng(0)
_XS = [_RNG.normal(size=(4, d)).astype(np.float32) for d in (3, 5)]
_Y = _RNG.normal(size=(4, 7)).astype(np.float32)
_PRESENT = np.array([[True, True], [True, False], [False, True], [False, False]])


def _make(seed=0, fusion=nn.Gated):
    rngs = nnx.Rngs(seed)
    return nn.TwoTower(
        encoders=[nn.MLPEncoder(d, 8, 4, rngs=rngs) for d in (3, 5)],
        fusion=fusion((4, 4), 6, rngs=rngs),
        projection=nn.Projection(6, 4, rngs=rngs),
        target_encoder=nn.MLPEncoder(7, 8, 4, rngs=rngs),
    )


@pytest.fixture(scope="module")
def split():
    return nnx.split(_make())


def _objective(graph, params, xs, y, key):
    model = nnx.merge(graph, params)
    key_x, key_y = jax.random.split(key)
    a = model.encode_sources(xs, present=_PRESENT, key=key_x, dropout=0.3)
    b = model.encode_target(y, key=key_y, dropout=0.3)
    return jnp.sum(jnp.sin(1 + jnp.arange(4.0)) * (a * b).sum(axis=1)) * model.logit_scale


@functools.cache
def _gradient(graph):
    return jax.jit(jax.value_and_grad(functools.partial(_objective, graph)))


@pytest.mark.parametrize("fusion", [nn.Gated, nn.WeightedSum])
def test_embeddings_have_unit_length(fusion):
    model = _make(fusion=fusion)
    lengths = jnp.linalg.norm(model.encode_sources(_XS), axis=-1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-6)
    np.testing.assert_allclose(jnp.linalg.norm(model.encode_target(_Y), axis=-1), 1, rtol=1e-6)


@pytest.mark.parametrize("payload", [np.nan, np.inf, 1e30])
def test_absent_payload_changes_no_value_and_no_gradient(split, payload):
    graph, params = split
    dirty = [np.where(_PRESENT[:, [m]], x, payload).astype(np.float32) for m, x in enumerate(_XS)]
    step = _gradient(graph)
    jax.tree.map(
        np.testing.assert_array_equal,
        step(params, dirty, _Y, jax.random.key(0)),
        step(params, _XS, _Y, jax.random.key(0)),
    )


def test_every_leaf_gets_a_finite_gradient(split):
    graph, params = split
    _, gradient = _gradient(graph)(params, _XS, _Y, jax.random.key(0))
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf != 0), path


def test_parameter_count_is_the_closed_formula(split):
    mlp = lambda i, h, o: i * h + h + h * o + o + i * o
    gated = (4 + 4) * 6 + 2 * 6 + (4 + 4 + 2) * 2 * 6 + 2 * 6
    expected = mlp(3, 8, 4) + mlp(5, 8, 4) + mlp(7, 8, 4) + gated + (6 * 4 + 4) + 1
    assert sum(x.size for x in jax.tree.leaves(split[1])) == expected


def test_parameters_are_strong_float32(split):
    for leaf in jax.tree.leaves(split[1]):
        assert leaf.dtype == jnp.float32
        assert not leaf.weak_type


def test_logit_scale_starts_at_its_value_and_stops_at_100():
    model = _make()
    np.testing.assert_allclose(model.logit_scale, 1 / 0.07, rtol=1e-6)
    model.log_logit_scale[...] = jnp.float32(9.0)
    np.testing.assert_allclose(model.logit_scale, 100, rtol=1e-6)


def test_calls_change_nothing(split):
    graph, params = split
    model = nnx.merge(graph, params)
    model.encode_sources(_XS, present=_PRESENT, key=jax.random.key(0), dropout=0.5)
    after_graph, after = nnx.split(model)
    assert after_graph == graph
    jax.tree.map(np.testing.assert_array_equal, after, params)


def test_vmap_over_models(split):
    # A sweep trains several models at once: leaves with a leading axis, one graph.
    models = [nnx.split(_make(seed)) for seed in range(2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(params for _, params in models))
    encode = lambda params: nnx.merge(split[0], params).encode_sources(_XS, present=_PRESENT)
    got = jax.jit(jax.vmap(encode))(stacked)
    expected = [encode(params) for _, params in models]
    np.testing.assert_allclose(got, np.stack(expected), rtol=1e-5, atol=1e-6)


def test_module_goes_through_plain_jit():
    encode = jax.jit(lambda model, xs: model.encode_sources(xs))
    model = _make()
    np.testing.assert_allclose(encode(model, _XS), model.encode_sources(_XS), rtol=1e-5, atol=1e-6)


def test_embeds_in_equinox(split):
    class Head(eqx.Module):
        tower: nnx.State
        graph: nnx.GraphDef = eqx.field(static=True)
        kernel: jax.Array

        def __call__(self, xs):
            return nnx.merge(self.graph, self.tower).encode_sources(xs) @ self.kernel

    head = Head(tower=split[1], graph=split[0], kernel=jnp.ones((4, 2)))
    gradient = eqx.filter_jit(eqx.filter_grad(lambda head: jnp.sum(head(_XS) ** 2)))(head)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.any(gradient.kernel != 0)


def test_embeds_in_linen(split):
    graph, params = split

    class Head(linen.Module):
        @linen.compact
        def __call__(self, xs):
            tower = self.param("tower", lambda key: nnx.to_pure_dict(params))
            state = nnx.State(params)
            nnx.replace_by_pure_dict(state, tower)
            return linen.Dense(2)(nnx.merge(graph, state).encode_sources(xs))

    head = Head()
    variables = head.init(jax.random.key(0), _XS)
    loss = lambda variables: jnp.sum(head.apply(variables, _XS) ** 2)
    gradient = jax.jit(jax.grad(loss))(variables)["params"]["tower"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert np.any(gradient["target_encoder"]["out_kernel"] == 0)
    assert np.any(gradient["encoders"][0]["out_kernel"] != 0)


def test_wrong_number_of_modalities_is_refused(split, no_jaxtyping):
    message = "TwoTower: `xs` must have one array per source encoder, got 1 for 2 encoders"
    with pytest.raises(ValueError, match=message):
        nnx.merge(*split).encode_sources(_XS[:1])
