"""Bilinear attention: its maps, tokens that do not exist, and special cases in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax import fusion

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow

_apply = jax.jit(fusion.bilinear_attention)
_map = jax.jit(fusion.bilinear_attention_map)


def _case(dtype="float64", **options):
    rng = np.random.default_rng(0)
    xs = [jnp.asarray(rng.normal(size=(4, t, d)), dtype) for t, d in ((5, 3), (4, 6))]
    weights = fusion.init_bilinear_attention(jax.random.key(0), (3, 6), 4, **options)
    return xs, jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), weights)


@pytest.mark.parametrize("options", [{"rank": 2}, {"num_glimpses": 1}, {"rank": 7}])
def test_shapes_tell_the_rank_and_the_glimpses(options, x64):
    xs, weights = _case(**options)
    g, rank = options.get("num_glimpses", 2), options.get("rank", 4)
    maps = [(3, rank), (6, rank), (g, rank)]
    pools = [(4, g, rank), (6, g, rank), (g, rank, 4)]
    assert [x.shape for x in jax.tree.leaves(weights)] == [(3, 4), *maps, *pools]
    assert jax.eval_shape(fusion.bilinear_attention, xs, weights).shape == (4, 4)
    assert jax.eval_shape(fusion.bilinear_attention_map, xs, weights).shape == (4, g, 5, 4)


def test_equal_pairs_give_the_product_of_the_mean_tokens(x64):
    # p = 0 makes every pair as likely: f = (mean X W U′) ⊙ (mean Y V′), the paper's low-rank
    # bilinear pooling of the mean tokens, beside the mean of the stream.
    xs, weights = _case(num_glimpses=1)
    weights = weights._replace(attention_vectors=jnp.zeros_like(weights.attention_vectors))
    x, y = (np.asarray(x).mean(axis=1) for x in xs)
    u, v = (np.asarray(kernel)[:, 0] for kernel in weights.pool_kernels)
    stream = x @ np.asarray(weights.kernel)
    expected = stream + ((stream @ u) * (y @ v)) @ np.asarray(weights.out_kernels[0])
    np.testing.assert_allclose(_apply(xs, weights), expected, atol=1e-12)
    np.testing.assert_allclose(_map(xs, weights), 1 / 20, atol=1e-12)


def test_a_value_by_hand(x64):
    # One token each, so that A = 1: F₀ = 2·3 = 6; glimpse 1 adds 6·5·1 = 30 to it, glimpse 2,
    # which sees F₁ = 36, adds 36·5·(1/10) = 18.
    one = lambda *shape: jnp.ones(shape)
    weights = fusion.BilinearAttentionWeights(
        kernel=jnp.full((1, 1), 3.0),
        attention_kernels=(one(1, 1), one(1, 1)),
        attention_vectors=one(2, 1),
        pool_kernels=(one(1, 2, 1), one(1, 2, 1)),
        out_kernels=jnp.array([1.0, 0.1]).reshape(2, 1, 1),
    )
    xs = [jnp.array([[2.0]]), jnp.array([[5.0]])]
    apply = lambda *present: _apply(xs, weights, present=jnp.array(present))
    np.testing.assert_allclose(apply(True, True), [54.0], atol=1e-12)
    # The second factor is 1: 6 + 6·1 = 12, then + 12·(1/10).
    np.testing.assert_allclose(apply(True, False), [13.2], atol=1e-12)
    # The first factor is 1, whatever the stream carries: 5·1 + 5·(1/10).
    np.testing.assert_allclose(apply(False, True), [5.5], atol=1e-12)
    np.testing.assert_array_equal(apply(False, False), [0.0])


def _where(rng):
    where = [rng.random((4, t)) < 0.6 for t in (5, 4)]
    for keep in where:
        keep[:, 1] = True
    return where


def test_a_token_that_does_not_exist_is_as_if_deleted(x64):
    xs, weights = _case()
    where = _where(np.random.default_rng(1))
    got, maps = _apply(xs, weights, where=where), _map(xs, weights, where=where)
    np.testing.assert_allclose(maps.sum(axis=(2, 3)), 1.0, atol=1e-12)
    for i in (0, 3):
        kept = [x[i][keep[i]] for x, keep in zip(xs, where, strict=True)]
        np.testing.assert_allclose(got[i], _apply(kept, weights), atol=1e-12)
        map_of_kept = maps[i][:, where[0][i]][:, :, where[1][i]]
        np.testing.assert_allclose(map_of_kept, _map(kept, weights), atol=1e-12)


def test_payload_of_a_token_changes_no_value_and_no_gradient():
    xs, weights = _case("float32")
    where = _where(np.random.default_rng(1))

    @jax.jit
    def run(xs):
        total = lambda xs: jnp.sum(jnp.sin(fusion.bilinear_attention(xs, weights, where=where)))
        maps = fusion.bilinear_attention_map(xs, weights, where=where)
        return maps, jax.value_and_grad(total)(xs)

    fill = lambda value: [
        np.where(keep[..., None], np.asarray(x), np.float32(value))
        for x, keep in zip(xs, where, strict=True)
    ]
    expected = run(fill(0.0))
    for slope, keep in zip(expected[1][1], where, strict=True):
        assert np.isfinite(slope).all()
        assert not slope[~keep].any()
    for payload in (np.nan, np.inf, 1e30):
        jax.tree.map(np.testing.assert_array_equal, run(fill(payload)), expected)


def test_a_modality_without_tokens_is_absent(x64):
    xs, weights = _case()
    none = np.zeros((4, 4), bool)
    expected = _apply(xs, weights, present=jnp.array([True, False]))
    got = _apply(xs, weights, where=[None, none])
    np.testing.assert_array_equal(got, expected)
    assert not _map(xs, weights, where=[None, none]).any()
    nothing = _apply(xs, weights, where=[np.zeros((4, 5), bool), none])
    np.testing.assert_array_equal(nothing, np.zeros((4, 4)))


def test_order_of_the_tokens_does_not_matter(x64):
    xs, weights = _case()
    turned = [x[:, ::-1] for x in xs]
    np.testing.assert_allclose(
        _apply(turned, weights),
        _apply(xs, weights),
        atol=1e-12,
    )


def test_large_logits_pick_one_pair(x64):
    xs, weights = _case(num_glimpses=1)
    weights = weights._replace(attention_vectors=1e4 * weights.attention_vectors)
    maps = np.asarray(_map(xs, weights))
    np.testing.assert_allclose(maps.max(axis=(1, 2, 3)), 1.0)
    check_grads(lambda xs: _apply(xs, weights), (xs,), order=1, modes=["rev"], atol=1e-5)


def test_where_under_check_grads_and_vmap(x64):
    xs, weights = _case()
    where = _where(np.random.default_rng(2))
    apply = lambda xs, weights: _apply(xs, weights, where=where)
    check_grads(apply, (xs, weights), order=1, modes=["fwd", "rev"], atol=1e-7, rtol=1e-7)
    one = lambda xs, where: _apply(xs, weights, where=where)
    np.testing.assert_allclose(jax.jit(jax.vmap(one))(xs, where), apply(xs, weights), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda xs, w: fusion.init_bilinear_attention(jax.random.key(0), (3, 6, 2), 4),
            ValueError,
            "`dims` must have two widths.*got dims=\\(3, 6, 2\\)",
        ),
        (
            lambda xs, w: fusion.init_bilinear_attention(jax.random.key(0), (3, 6), 4, rank=0),
            ValueError,
            "must be positive, got .*rank=0",
        ),
        (
            lambda xs, w: fusion.bilinear_attention([*xs, xs[0]], w),
            ValueError,
            "`xs` must be a sequence of two modalities .*got",
        ),
        (
            lambda xs, w: fusion.bilinear_attention([xs[0], xs[1][0, 0]], w),
            ValueError,
            "`xs` must be .*got shapes",
        ),
        (lambda xs, w: fusion.bilinear_attention(xs[::-1], w), ValueError, "`weights` must have"),
        (
            lambda xs, w: fusion.bilinear_attention(xs, w, where=[np.ones((4, 3), bool), None]),
            ValueError,
            "`where` .*must .*got",
        ),
        (
            lambda xs, w: fusion.bilinear_attention(xs, w, where=[None]),
            ValueError,
            "`where` must .*got",
        ),
        (
            lambda xs, w: fusion.bilinear_attention(xs, w, where=[np.ones((4, 5)), None]),
            TypeError,
            "`where` must be boolean",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message, no_jaxtyping):
    xs, weights = _case("float32")
    with pytest.raises(error, match=rf"bilinear_attention: .*{message}.*; .+\.$"):
        call(xs, weights)
