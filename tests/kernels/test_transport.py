"""Sinkhorn's iteration: both implementations against NumPy, ott, SciPy and sorting."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special

from crossmodal_jax.kernels import sinkhorn

IMPLEMENTATIONS = ["xla", "streamed"]
each_implementation = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)


@functools.partial(jax.jit, static_argnames=("implementation", "max_iterations"))
def solve(x, y, **kwargs):
    return sinkhorn(x, y, **kwargs)


def data(n=7, m=5, d=3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), 1.5 + rng.normal(size=(m, d))
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    return x.astype(dtype), y.astype(dtype), a / a.sum(), b / b.sum()


def cost_of(x, y):
    return np.square(x[:, None] - y).sum(-1)


def dense_sinkhorn(x, y, a, b, eps, iterations):
    """The iterations with the cost of centred clouds, and the value of their plan."""
    cost = cost_of(x - a @ x, y - b @ y)
    f, g = np.zeros(len(a)), np.zeros(len(b))
    for _ in range(iterations):
        f = -eps * scipy.special.logsumexp((g - cost) / eps, b=b, axis=1)
        g = -eps * scipy.special.logsumexp((f[:, None] - cost) / eps, b=a[:, None], axis=0)
    plan = a[:, None] * b * np.exp((f[:, None] + g - cost) / eps)
    return plan, cost


def plan_of(found, x, y, a, b, eps):
    return a[:, None] * b * np.exp((np.asarray(found.f)[:, None] + found.g - cost_of(x, y)) / eps)


@each_implementation
@pytest.mark.parametrize(("n", "m"), [(7, 5), (1, 4), (300, 3)])
def test_every_iterate_matches_numpy(implementation, n, m, x64):
    x, y, a, b = data(n, m)
    for iterations in (1, 4):
        found = solve(
            x,
            y,
            a=a,
            b=b,
            epsilon=0.3,
            max_iterations=iterations,
            tolerance=-1.0,
            implementation=implementation,
        )
        plan, _ = dense_sinkhorn(x, y, a, b, 0.3, iterations)
        np.testing.assert_allclose(plan_of(found, x, y, a, b, 0.3), plan, rtol=1e-9, atol=1e-30)
        assert found.num_iterations == iterations
        np.testing.assert_allclose(a @ found.f, b @ found.g, rtol=1e-9)
        if iterations > 1:
            previous, _ = dense_sinkhorn(x, y, a, b, 0.3, iterations - 1)
            error = np.abs(previous.sum(1) - a).sum()
            np.testing.assert_allclose(found.error, error, rtol=1e-6, atol=1e-14)


@each_implementation
def test_value_is_the_regularised_cost(implementation, x64):
    x, y, a, b = data()
    kwargs = {"max_iterations": 5000, "tolerance": 1e-13, "implementation": implementation}
    found = solve(x, y, a=a, b=b, epsilon=0.5, **kwargs)
    plan, _ = dense_sinkhorn(x, y, a, b, 0.5, 3000)
    entropy = np.sum(plan * np.log(plan / np.outer(a, b)))
    expected = np.sum(plan * cost_of(x, y)) + 0.5 * entropy
    np.testing.assert_allclose(found.value, expected, rtol=1e-10)
    np.testing.assert_allclose(a @ found.f + b @ found.g, expected, rtol=1e-10)
    assert found.error <= 1e-13
    assert found.num_iterations < 5000


@each_implementation
@pytest.mark.filterwarnings("ignore:JAXopt is no longer maintained:DeprecationWarning")
def test_potentials_and_value_are_those_of_ott(implementation, x64):
    from ott.geometry import pointcloud
    from ott.solvers import linear

    x, y, a, b = data(40, 30)
    geometry = pointcloud.PointCloud(x, y, epsilon=0.4)
    theirs = linear.solve(geometry, a=a, b=b, threshold=1e-13, max_iterations=20000)
    kwargs = {"max_iterations": 20000, "tolerance": 1e-13, "implementation": implementation}
    found = solve(x, y, a=a, b=b, epsilon=0.4, **kwargs)
    # Theirs hold the logarithm of the weights, and another share of the constant.
    f, g = theirs.f - 0.4 * np.log(a), theirs.g - 0.4 * np.log(b)
    shift = (b @ g - a @ f) / 2
    np.testing.assert_allclose(found.f, f + shift, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.g, g - shift, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.value, theirs.reg_ot_cost, rtol=1e-8)


@each_implementation
def test_small_epsilon_finds_the_assignment(implementation, x64):
    x, y, *_ = data(12, 12)
    kwargs = {"max_iterations": 20000, "tolerance": 1e-9, "implementation": implementation}
    found = solve(x, y, epsilon=0.01, **kwargs)
    plan = plan_of(found, x, y, np.full(12, 1 / 12), np.full(12, 1 / 12), 0.01)
    rows, columns = scipy.optimize.linear_sum_assignment(cost_of(x, y))
    np.testing.assert_array_equal(plan.argmax(1)[rows], columns)
    # The entropy is at most log 12.
    best = cost_of(x, y)[rows, columns].mean()
    assert best <= found.value + 1e-9 <= best + 0.01 * np.log(12) + 1e-8


def test_one_dimension_is_sorting(x64):
    x, y, *_ = data(9, 9, d=1)
    found = solve(x, y, epsilon=1e-3, max_iterations=50000, tolerance=1e-9)
    plan = plan_of(found, x, y, np.full(9, 1 / 9), np.full(9, 1 / 9), 1e-3)
    order = np.empty(9, int)
    order[np.argsort(x[:, 0])] = np.argsort(y[:, 0])
    np.testing.assert_array_equal(plan.argmax(1), order)
    best = np.square(np.sort(x, 0) - np.sort(y, 0)).mean()
    np.testing.assert_allclose(found.value, best, atol=1e-3 * np.log(9))


@pytest.mark.parametrize("epsilon", [1e-4, 0.05, 1.0, 100.0])
def test_streamed_is_the_definition_in_float32(epsilon, slabs):
    slabs(2**14)  # of 75 rows
    # Small ε: sums of the first iterations underflow, and the streamed form has to notice.
    x, y, a, b = data(300, 200, seed=3, dtype=np.float32)
    kwargs = {"a": a, "b": b, "epsilon": epsilon, "max_iterations": 40, "tolerance": -1.0}
    plain, streamed = (solve(x, y, implementation=i, **kwargs) for i in IMPLEMENTATIONS)
    for got, expected in zip(streamed[:3], plain[:3], strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5 + 1e-6 * epsilon)
    assert np.isfinite(streamed.error)


def test_an_iteration_that_underflows_is_done_with_maxima(x64):
    # exp(−1e5) is 0 in float64 as well: without maxima every sum of a far row would be 0.
    x = np.array([[0.0], [1.0], [50.0]])
    y = np.array([[0.2], [1.1], [-300.0]])
    for iterations in (1, 4):
        found = solve(x, y, epsilon=0.05, max_iterations=iterations, tolerance=-1.0)
        third = np.full(3, 1 / 3)
        plan, _ = dense_sinkhorn(x, y, third, third, 0.05, iterations)
        got = plan_of(found, x, y, third, third, 0.05)
        np.testing.assert_allclose(got, plan, rtol=1e-6, atol=1e-12)


@each_implementation
def test_gradients_match_finite_differences(implementation, slabs, x64):
    slabs(16)  # of three rows, and a rest of one
    x, y, a, b = data()

    @jax.jit
    def value(x, y, a, b, epsilon):
        return sinkhorn(
            x,
            y,
            a=a,
            b=b,
            epsilon=epsilon,
            tolerance=1e-14,
            max_iterations=5000,
            implementation=implementation,
        ).value

    arguments = [jnp.asarray(z) for z in (x, y, a, b, 0.5)]
    gradients = jax.jit(jax.grad(value, argnums=(0, 1, 2, 3, 4)))(*arguments)
    for i, gradient in enumerate(gradients):
        direction = np.random.default_rng(i).normal(size=gradient.shape)
        ends = [
            value(*arguments[:i], arguments[i] + s * 1e-5 * direction, *arguments[i + 1 :])
            for s in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-7, atol=1e-8)


@each_implementation
def test_gradient_is_the_displacement_of_the_plan(implementation, x64):
    x, y, a, b = data(300, 20)
    kwargs = {"a": a, "b": b, "epsilon": 2.0, "tolerance": 1e-13}
    kwargs |= {"max_iterations": 5000, "implementation": implementation}

    @jax.jit
    def value(x):
        found = sinkhorn(x, y, **kwargs)
        return found.value, found

    gradient, found = jax.jit(jax.grad(value, has_aux=True))(x)
    plan = plan_of(found, x, y, a, b, 2.0)
    expected = 2 * (plan.sum(1)[:, None] * x - plan @ y)
    np.testing.assert_allclose(gradient, expected, rtol=1e-8, atol=1e-12)


@each_implementation
def test_dropped_rows_equal_deleted_rows(implementation, strict):
    x, y, a, b = (z.astype(np.float32) for z in data(290, 11))
    kwargs = {"epsilon": 0.5, "implementation": implementation}

    @jax.jit
    def value(x, y, keep_x, keep_y):
        def value(x, y):
            found = sinkhorn(x, y, a=a, b=b, where=keep_x, where_y=keep_y, **kwargs)
            return found.value, found

        return jax.value_and_grad(value, argnums=(0, 1), has_aux=True)(x, y)

    rng = np.random.default_rng(1)
    keep_x, keep_y = rng.random(290) < 0.7, rng.random(11) < 0.7
    poisoned = np.where(keep_x[:, None], x, np.float32(np.nan))
    poisoned_y = np.where(keep_y[:, None], y, np.float32(np.inf))
    (total, got), gradients = value(poisoned, poisoned_y, keep_x, keep_y)
    np.testing.assert_array_equal(gradients[0][~keep_x], 0)
    np.testing.assert_array_equal(gradients[1][~keep_y], 0)
    np.testing.assert_array_equal(got.f[~keep_x], 0)
    np.testing.assert_array_equal(got.g[~keep_y], 0)
    assert all(np.isfinite(z).all() for z in (*got, *gradients))
    alone = solve(x[keep_x], y[keep_y], a=a[keep_x], b=b[keep_y], **kwargs)
    np.testing.assert_allclose(total, alone.value, rtol=1e-5)
    np.testing.assert_allclose(got.f[keep_x], alone.f, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(got.g[keep_y], alone.g, rtol=1e-3, atol=1e-4)
    nothing, some = np.zeros(290, bool), keep_y
    for keep in [(nothing, some), (~nothing, np.zeros(11, bool)), (nothing, np.zeros(11, bool))]:
        (total, got), gradients = value(x, y, *keep)
        assert total == 0
        assert all(np.isfinite(z).all() for z in (*got, *gradients))


@each_implementation
def test_weights_count_rows(implementation, x64):
    x, y, *_ = data()
    times = np.array([1, 3, 2, 1, 1, 4, 2])
    kwargs = {"epsilon": 0.3, "tolerance": 1e-12, "implementation": implementation}
    weighted = solve(x, y, a=1.0 * times, **kwargs)
    repeated = solve(np.repeat(x, times, axis=0), y, **kwargs)
    np.testing.assert_allclose(weighted.value, repeated.value, rtol=1e-10)
    np.testing.assert_allclose(np.repeat(weighted.f, times), repeated.f, rtol=1e-8)


@each_implementation
def test_a_common_shift_changes_nothing_and_another_adds_its_square(implementation, x64):
    x, y, a, b = data()
    kwargs = {"a": a, "b": b, "epsilon": 0.3, "tolerance": 1e-12, "max_iterations": 5000}
    kwargs["implementation"] = implementation
    base, moved = solve(x, y, **kwargs), solve(x + 7, y + 7, **kwargs)
    np.testing.assert_allclose(moved.value, base.value, rtol=1e-9)
    np.testing.assert_allclose(moved.f, base.f, rtol=1e-7, atol=1e-9)
    apart = solve(x - a @ x + np.array([1.0, 2.0, 2.0]), y - b @ y, **kwargs)
    together = solve(x - a @ x, y - b @ y, **kwargs)
    np.testing.assert_allclose(apart.value, together.value + 9, rtol=1e-10)


def test_far_from_the_origin_float32_keeps_its_digits():
    x, y, a, b = data(20, 30, dtype=np.float32)
    near = solve(x, y, a=a, b=b, epsilon=0.5)
    far = solve(x + np.float32(1000), y + np.float32(1000), a=a, b=b, epsilon=0.5)
    np.testing.assert_allclose(far.value, near.value, rtol=1e-3)


def test_low_precision_is_computed_in_float32():
    x, y, *_ = (jnp.asarray(z, jnp.bfloat16) for z in data(20, 30))
    found = solve(x, y, epsilon=0.5)
    assert {leaf.dtype for leaf in found} == {jnp.dtype(jnp.float32), jnp.dtype(jnp.int32)}
    expected = solve(x.astype(jnp.float32), y.astype(jnp.float32), epsilon=0.5)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-6)


def test_vmap_and_one_compilation():
    x, y = np.random.default_rng(0).normal(size=(2, 3, 20, 2)).astype(np.float32)
    mapped = jax.jit(jax.vmap(lambda x, y, e: sinkhorn(x, y, epsilon=e).value))
    epsilon = np.array([0.1, 1.0, 3.0], np.float32)
    got = mapped(x, y, epsilon)
    mapped(x + 1, y, epsilon)
    assert mapped._cache_size() == 1
    for i in range(3):
        alone = solve(x[i], y[i], epsilon=float(epsilon[i])).value
        np.testing.assert_allclose(got[i], alone, rtol=1e-5)


def test_streamed_memory_is_linear_in_the_points():
    def temp_bytes(n, implementation):
        def value(x, y):
            return sinkhorn(x, y, epsilon=1.0, implementation=implementation).value

        points = jax.ShapeDtypeStruct((n, 8), jnp.float32)
        compiled = jax.jit(jax.value_and_grad(value)).lower(points, points).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    tile = 4 * 2**20
    small, large = temp_bytes(2048, "streamed"), temp_bytes(4096, "streamed")
    assert large < 6 * tile  # the entries of a slab, and what the compiler keeps beside them
    assert large < 2.2 * small
    assert temp_bytes(4096, "xla") > 4 * large


def test_none_streams():
    points = jax.ShapeDtypeStruct((2048, 2), jnp.float32)
    lowered = jax.jit(lambda x, y: sinkhorn(x, y, epsilon=1.0)).lower(points, points)
    assert "2048x2048" not in lowered.as_text()


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"y": np.zeros((5, 3))}, r"x.shape=\(4, 2\) and y.shape=\(5, 3\)"),
        ({"a": np.ones(5)}, r"`a` must have one weight per row of its cloud, shape \(4,\)"),
        ({"b": np.ones(4)}, r"`b` must have one weight per row of its cloud, shape \(5,\)"),
        ({"where": np.ones(5, bool)}, "must have shape"),
        ({"max_iterations": 0}, "`max_iterations` must be at least 1, got 0"),
        ({"implementation": "streamd"}, "did you mean 'streamed'"),
    ],
)
def test_bad_arguments_are_named(no_jaxtyping, kwargs, words):
    arguments = {"x": np.zeros((4, 2)), "y": np.zeros((5, 2)), "epsilon": 1.0, **kwargs}
    with pytest.raises(ValueError, match=words):
        sinkhorn(arguments.pop("x"), arguments.pop("y"), **arguments)
