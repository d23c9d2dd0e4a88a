"""Compact bilinear pooling: it is the count sketch of an outer product, however it is computed."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

_DIMS = (5, 4, 3)
_PATTERNS = np.array(list(itertools.product([False, True], repeat=3)))
both = pytest.mark.parametrize("implementation", ["fft", "folded"])


def _xs(num, dims=_DIMS, seed=0):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.normal(size=(num, d))) for d in dims]


def _hash_and_sign(width, dim, seed, modality):
    """Read off the sketches of the unit vectors: one entry each, ±1."""
    sketches = np.asarray(
        fusion.count_sketch(jnp.eye(width), dim=dim, seed=seed, modality=modality)
    )
    assert (np.abs(sketches).sum(axis=1) == 1).all()
    return np.abs(sketches).argmax(axis=1), sketches.sum(axis=1)


@both
@pytest.mark.parametrize("num", [1, 2, 3])
@pytest.mark.parametrize("dim", [1, 2, 7, 8, 64, 65])
def test_is_the_count_sketch_of_the_outer_product(dim, num, implementation, x64):
    xs = _xs(4)[:num]
    tables = [_hash_and_sign(d, dim, 3, m) for m, d in enumerate(_DIMS[:num])]
    expected = np.zeros((4, dim))
    for index in itertools.product(*map(range, _DIMS[:num])):
        place = sum(table[0][j] for table, j in zip(tables, index, strict=True)) % dim
        sign = np.prod([table[1][j] for table, j in zip(tables, index, strict=True)])
        expected[:, place] += sign * np.prod([x[:, j] for x, j in zip(xs, index, strict=True)], 0)
    got = fusion.compact_bilinear_pooling(xs, dim=dim, seed=3, implementation=implementation)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 7, 8, 64, 65])
def test_implementations_agree_in_value_and_gradient_under_any_mask(dim, x64):
    xs = _xs(8)
    probe = jnp.cos(jnp.arange(8.0 * dim)).reshape(8, dim)

    def run(implementation):
        def pool(xs):
            return fusion.compact_bilinear_pooling(
                xs, dim=dim, present=_PATTERNS, implementation=implementation
            )

        z, pull = jax.vjp(pool, xs)
        return [z, *pull(probe)[0]]

    for got, expected in zip(run("folded"), run("fft"), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@both
def test_absent_modality_leaves_the_pooling_of_the_others(implementation, x64):
    xs = _xs(3)
    pool = functools.partial(fusion.compact_bilinear_pooling, dim=16, implementation=implementation)
    expected = pool(xs[:2])
    got = pool([*xs[:2], jnp.full((3, 3), jnp.nan)], present=np.array([True, True, False]))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    assert not pool(xs, present=np.zeros(3, bool)).any()


@both
def test_inner_products_are_those_of_the_outer_products_on_average(implementation, x64):
    x, y = _xs(2, (3, 4))
    expected = (x[0] @ x[1]) * (y[0] @ y[1])
    products = []
    for seed in range(400):
        z = fusion.compact_bilinear_pooling(
            [x, y], dim=16, seed=seed, implementation=implementation
        )
        products.append(float(z[0] @ z[1]))
    error = np.std(products) / np.sqrt(len(products))
    # The mean without signs, or with one hash for both, is off by far more.
    assert 0 < error < 0.5 * abs(expected)
    assert abs(np.mean(products) - expected) < 3 * error


def test_inner_products_of_count_sketches_are_those_of_the_vectors_on_average(x64):
    (x,) = _xs(2, (6,))
    sketches = [fusion.count_sketch(x, dim=4, seed=seed) for seed in range(400)]
    products = [float(z[0] @ z[1]) for z in sketches]
    error = np.std(products) / np.sqrt(len(products))
    assert abs(np.mean(products) - x[0] @ x[1]) < 3 * error


def test_hash_and_sign_follow_from_the_raw_stream_of_numpy():
    # Written out, for trained kernels depend on it: upper half of a word and its last bit.
    words = np.random.PCG64([7, 2]).random_raw(50)
    hashes, signs = _hash_and_sign(50, 11, seed=7, modality=2)
    np.testing.assert_array_equal(hashes, [(int(w) >> 32) * 11 >> 32 for w in words])
    np.testing.assert_array_equal(signs, [1 - 2 * (int(w) % 2) for w in words])


def test_hashes_are_uniform_and_signs_are_fair():
    hashes, signs = _hash_and_sign(4000, 8, seed=0, modality=0)
    counts = np.bincount(hashes, minlength=8)
    assert np.sum((counts - 500) ** 2 / 500) < 24.3  # 0.999 quantile of χ² with 7 degrees
    assert abs(signs.sum()) < 3.3 * np.sqrt(4000)


def test_seed_and_modality_change_the_sketch_and_nothing_else_does():
    x = jnp.arange(1.0, 21.0)
    sketch = functools.partial(fusion.count_sketch, x, dim=64)
    np.testing.assert_array_equal(sketch(), jax.jit(sketch)())
    assert (sketch() != sketch(seed=1)).any()
    assert (sketch() != sketch(modality=1)).any()
    xs = [x, x]
    pool = functools.partial(fusion.compact_bilinear_pooling, xs, dim=64)
    assert (pool() != pool(seed=1)).any()
    weights = fusion.init_compact_bilinear(jax.random.key(0), (20, 20), 3)
    assert (
        fusion.compact_bilinear(xs, weights) != fusion.compact_bilinear(xs, weights, seed=1)
    ).any()


@both
def test_operator_is_the_pooling_scaled_before_the_kernel(implementation, x64):
    xs = _xs(8)
    weights = fusion.CompactBilinearWeights(
        jnp.asarray(np.random.default_rng(1).normal(size=(9, 4)))
    )
    scale = np.where(_PATTERNS, _DIMS, 1).prod(axis=1)[:, None]
    options = {"present": _PATTERNS, "seed": 5, "implementation": implementation}
    pooled = fusion.compact_bilinear_pooling(xs, dim=9, **options)
    got = fusion.compact_bilinear(xs, weights, **options)
    np.testing.assert_allclose(got, np.sqrt(9 / scale) * pooled @ weights.kernel, atol=1e-12)


def test_sketch_has_mean_square_one_under_any_absence():
    dims, weights = (12, 10), fusion.CompactBilinearWeights(jnp.eye(32))
    xs = [x.astype(jnp.float32) for x in _xs(64, dims)]
    for pattern in ([True, False], [False, True], [True, True]):
        squares = [
            jnp.mean(fusion.compact_bilinear(xs, weights, present=np.array(pattern), seed=s) ** 2)
            for s in range(20)
        ]
        assert np.mean(squares) == pytest.approx(1, rel=0.15)  # 0.05 is the spread of ∏‖xᵢ‖²/dᵢ


@both
def test_short_inputs_are_sketched_in_float32(implementation):
    xs = [x.astype(jnp.bfloat16) for x in _xs(4)]
    pool = functools.partial(fusion.compact_bilinear_pooling, dim=64, implementation=implementation)
    expected = pool([x.astype(jnp.float32) for x in xs]).astype(jnp.bfloat16)
    np.testing.assert_array_equal(pool(xs), expected)
    assert fusion.count_sketch(xs[0], dim=8).dtype == jnp.bfloat16


@pytest.mark.parametrize(("dims", "dim", "transforms"), [((8, 8), 16, False), ((8, 8), 4096, True)])
def test_shapes_choose_the_implementation(dims, dim, transforms):
    xs = [jnp.ones(d) for d in dims]
    trace = jax.make_jaxpr(functools.partial(fusion.compact_bilinear_pooling, dim=dim))(xs)
    assert ("fft" in str(trace)) == transforms


def test_default_sketch_is_no_wider_than_the_outer_product_needs():
    def width(dims):
        init = functools.partial(fusion.init_compact_bilinear, dims=dims, dim=2)
        return jax.eval_shape(init, jax.random.key(0)).kernel.shape[0]

    assert [width(dims) for dims in ((1,), (4, 4), (3, 6), (512, 512))] == [1, 16, 32, 8192]


def test_bad_options_are_refused(no_jaxtyping):
    xs = [jnp.ones(3), jnp.ones(3)]
    with pytest.raises(
        ValueError, match=r"^init_compact_bilinear: `sketch_dim` must be at least 1, got 0;"
    ):
        fusion.init_compact_bilinear(jax.random.key(0), (3, 3), 2, sketch_dim=0)
    for name in ("compact_bilinear_pooling", "count_sketch"):
        with pytest.raises(ValueError, match=rf"^{name}: `dim` must be positive, got 0; .*\.$"):
            getattr(fusion, name)(xs if name != "count_sketch" else xs[0], dim=0)
    with pytest.raises(
        ValueError, match=r"^compact_bilinear_pooling: `implementation` must be one"
    ):
        fusion.compact_bilinear_pooling(xs, dim=4, implementation="dft")


@pytest.mark.parametrize(("width", "dim"), [(5, 64), (40, 32), (9, 1)])  # some places twice
def test_slopes_of_a_sketch_are_its_matrix(width, dim, x64):
    sketch = functools.partial(fusion.count_sketch, dim=dim, seed=3)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, width)))
    # Row j of the matrix is the sketch of unit vector j: one entry, 1 or −1.
    matrix = sketch(jnp.eye(width))
    np.testing.assert_array_equal(np.abs(matrix).sum(axis=1), np.ones(width))
    np.testing.assert_allclose(sketch(x), x @ matrix, rtol=0, atol=1e-12)
    for jacobian in (jax.jacfwd(sketch)(x[0]), jax.jacrev(sketch)(x[0])):
        np.testing.assert_array_equal(jacobian, matrix.T)
