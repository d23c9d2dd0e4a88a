"""Graph fusion against NumPy, its laws over nodes, and the graph of nearest neighbours."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax import fusion

_DIMS = (3, 5)


def _case(n=6, *, num_layers=2, seed=0, dtype="float64"):
    """Returns modalities, weights, a weighted symmetric graph with an isolated node, presence."""
    rng = np.random.default_rng(seed)
    xs = [rng.normal(size=(n, d)).astype(dtype) for d in _DIMS]
    edges = np.triu(rng.random((n, n)) * (rng.random((n, n)) < 0.5), 1)
    edges[:, -1] = 0
    weights = fusion.init_graph_fusion(jax.random.key(seed), _DIMS, 4, num_layers=num_layers)
    weights = jax.tree.map(
        lambda leaf: jnp.asarray(np.asarray(leaf) + 0.3 * rng.normal(size=leaf.shape), dtype),
        weights,
    )
    present = rng.random((n, len(_DIMS))) < 0.6
    present[0] = False
    return xs, weights, (edges + edges.T).astype(dtype), present


def _oracle(xs, weights, edges, present, activation=lambda h: np.maximum(h, 0)):
    parts = [np.where(present[:, m, None], x, 0) for m, x in enumerate(xs)]
    h = np.concatenate([*parts, present], axis=1).astype(np.float64)
    looped = edges + np.eye(len(edges))
    root = np.diag(looped.sum(axis=1) ** -0.5)
    for layer, (kernel, bias) in enumerate(zip(weights.kernels, weights.biases, strict=True)):
        h = root @ looped @ root @ h @ np.asarray(kernel) + np.asarray(bias)
        if layer < len(weights.kernels) - 1:
            h = activation(h)
    return h


@pytest.mark.parametrize(("n", "num_layers"), [(1, 2), (6, 1), (6, 2), (9, 3)])
def test_equals_its_definition(n, num_layers, x64):
    xs, weights, edges, present = _case(n, num_layers=num_layers)
    got = jax.jit(fusion.graph_fusion)(xs, weights, edges, present=present)
    expected = _oracle(xs, weights, edges, present)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_another_activation_and_no_mask(x64):
    xs, weights, edges, present = _case()
    got = jax.jit(functools.partial(fusion.graph_fusion, activation=jnp.tanh))(xs, weights, edges)
    expected = _oracle(xs, weights, edges, np.ones_like(present), np.tanh)
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 4e-6), ("bfloat16", 4 * 2**-8)])
def test_precision_is_that_of_the_inputs(dtype, tolerance):
    xs, weights, edges, present = _case(dtype="float32")
    short = lambda tree: jax.tree.map(lambda a: jnp.asarray(a, jnp.bfloat16), tree)
    xs, weights, edges = short(xs), short(weights), short(edges)
    exact = jax.tree.map(lambda a: np.asarray(a, np.float64), (xs, weights, edges))
    cast = [x.astype(dtype) for x in xs]
    got = fusion.graph_fusion(cast, weights, edges.astype(jnp.float32), present=present)
    assert got.dtype == dtype
    expected = _oracle(*exact, present)
    atol = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(got, np.float64), expected, atol=atol)


def test_value_by_hand(x64):
    # Ã = [[1, 3], [3, 1]], degrees 4: each node gets a quarter of itself, three of the other.
    weights = fusion.GraphFusionWeights(
        (jnp.array([[1.0], [0.0]]), jnp.array([[2.0]])), jnp.array([[0.0], [1.0]])
    )
    edges = jnp.array([[0.0, 3.0], [3.0, 0.0]])
    got = fusion.graph_fusion([jnp.array([[4.0], [-8.0]])], weights, edges)
    # First layer: (4 − 24)/4 = −5 → 0 and (12 − 8)/4 = 1; second: 2·(3/4) + 1, 2·(1/4) + 1.
    np.testing.assert_allclose(got, [[2.5], [1.5]], atol=1e-12)


def test_names_of_the_nodes_do_not_matter(x64):
    xs, weights, edges, present = _case()
    order = np.random.default_rng(1).permutation(6)
    expected = fusion.graph_fusion(xs, weights, edges, present=present)[order]
    got = fusion.graph_fusion(
        [x[order] for x in xs], weights, edges[np.ix_(order, order)], present=present[order]
    )
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_without_edges_it_is_a_network_of_each_node(x64):
    xs, weights, edges, present = _case()
    joint = fusion.concat(xs, present=present)
    hidden = jax.nn.relu(joint @ weights.kernels[0] + weights.biases[0])
    expected = hidden @ weights.kernels[1] + weights.biases[1]
    got = fusion.graph_fusion(xs, weights, np.zeros_like(edges), present=present)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    # The last node has no edge in the other graph either.
    got = fusion.graph_fusion(xs, weights, edges, present=present)
    np.testing.assert_allclose(got[-1], expected[-1], atol=1e-12)


def test_a_node_sees_as_many_edges_away_as_there_are_layers(x64):
    xs, weights, _, _ = _case()
    path = np.eye(6, k=1) + np.eye(6, k=-1)
    slope = jax.jacobian(lambda x: fusion.graph_fusion([x, xs[1]], weights, path))(xs[0])
    seen = np.abs(slope).sum(axis=(1, 3)) > 0
    distance = np.abs(np.arange(6)[:, None] - np.arange(6)[None, :])
    assert not seen[distance > 2].any()
    assert seen[distance <= 1].all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_absent_payload_changes_no_value_and_no_gradient(dtype):
    xs, weights, edges, present = _case(dtype="float32")

    @jax.jit
    def run(xs, weights, edges):
        loss = lambda *args: jnp.sum(jnp.sin(fusion.graph_fusion(*args, present=present)))
        return jax.value_and_grad(loss, argnums=(0, 1, 2))(xs, weights, edges)

    fill = lambda value: [
        np.where(present[:, m, None], x, np.float32(value)).astype(jnp.dtype(dtype))
        for m, x in enumerate(xs)
    ]
    expected = run(fill(0.0), weights, edges)
    for leaf in jax.tree.leaves(expected):
        assert np.isfinite(np.asarray(leaf, np.float32)).all()
    for m, slope in enumerate(expected[1][0]):
        assert not slope[~present[:, m]].any()
    for payload in (np.nan, np.inf, -np.inf, 1e30):
        got = run(fill(payload), weights, edges)
        jax.tree.map(np.testing.assert_array_equal, got, expected)


def test_gradients_are_those_of_finite_differences(x64):
    xs, weights, edges, present = _case()
    apply = jax.jit(lambda *args: fusion.graph_fusion(*args, present=present, activation=jnp.tanh))
    check_grads(apply, (xs, weights, edges), order=1, modes=["fwd", "rev"], atol=1e-7, rtol=1e-7)


def test_vmap_and_a_batch_of_graphs_are_the_graphs_one_by_one(x64):
    cases = [_case(seed=seed) for seed in range(3)]
    weights = cases[0][1]
    xs = [np.stack([case[0][m] for case in cases]) for m in range(2)]
    edges, present = (np.stack([case[i] for case in cases]) for i in (2, 3))
    expected = [_oracle(case[0], weights, *case[2:]) for case in cases]
    apply = lambda xs, edges, present: fusion.graph_fusion(xs, weights, edges, present=present)
    np.testing.assert_allclose(apply(xs, edges, present), expected, atol=1e-12)
    np.testing.assert_allclose(jax.vmap(apply)(xs, edges, present), expected, atol=1e-12)


@pytest.mark.slow
def test_runs_under_strict_promotion_nan_debugging_and_leak_checks(strict):
    xs, weights, edges, present = _case(dtype="float32")
    for dtype in ("float32", "bfloat16"):
        cast = [jnp.asarray(x, dtype) for x in xs]
        got = jax.jit(fusion.graph_fusion)(cast, weights, edges, present=present)
        assert got.dtype == dtype
        assert fusion.knn_adjacency(cast[0], k=2, where=present[:, 0]).dtype == dtype


def test_one_compilation():
    traces = []

    @jax.jit
    def apply(xs, weights, edges, present):
        traces.append(1)
        return fusion.graph_fusion(xs, weights, edges, present=present)

    for seed in range(3):
        apply(*_case(seed=seed, dtype="float32"))
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("dims", "dim", "num_layers"), [((8, 8), 64, 2), ((128,) * 4, 16, 1), ((128,) * 4, 16, 4)]
)
def test_initial_variance_without_edges_is_that_of_the_inputs(dims, dim, num_layers):
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(32, d)).astype(np.float32) for d in dims]

    @jax.jit
    def mean_square(keys):
        def one(key):
            weights = fusion.init_graph_fusion(key, dims, dim, num_layers=num_layers)
            return jnp.mean(fusion.graph_fusion(xs, weights, jnp.zeros((32, 32))) ** 2)

        return jnp.mean(jax.lax.map(one, keys))

    assert 1 / 3 < mean_square(jax.random.split(jax.random.key(0), 8)) < 3
    shapes = jax.eval_shape(
        lambda key: fusion.init_graph_fusion(key, dims, dim, num_layers=num_layers),
        jax.random.key(0),
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == (
        (sum(dims) + len(dims)) * dim + (num_layers - 1) * dim**2 + num_layers * dim
    )


@pytest.mark.parametrize(
    "change",
    [
        {"adjacency": np.zeros((6, 5))},
        {"adjacency": np.zeros(6)},
        {"adjacency": np.zeros((2, 6, 6))},
        {"xs": [np.ones(3), np.ones(5)]},
        {"xs": [np.ones((6, 5)), np.ones((6, 5))]},
        {"xs": [np.ones((6, 3)), np.ones((4, 5))]},
        {"xs": []},
        {"present": np.ones((6, 3), bool)},
        {"biases": np.zeros((3, 4))},
    ],
)
def test_bad_shapes_are_refused(change, no_jaxtyping):
    xs, weights, edges, _ = _case(dtype="float32")
    weights = weights._replace(biases=change.pop("biases", weights.biases))
    arguments = {"xs": xs, "adjacency": edges, **change}
    with pytest.raises(ValueError, match=r"^graph_fusion: .+ must .+, got .+; .+\.$"):
        fusion.graph_fusion(weights=weights, **arguments)


def test_no_layer_and_bad_types_are_refused(no_jaxtyping):
    xs, weights, edges, present = _case(dtype="float32")
    with pytest.raises(ValueError, match=r"^init_graph_fusion: .+ must .+, got 0; .+\.$"):
        fusion.init_graph_fusion(jax.random.key(0), _DIMS, 4, num_layers=0)
    with pytest.raises(TypeError, match=r"^graph_fusion: .+ must be .+, got .+; .+\.$"):
        fusion.graph_fusion([x.astype(np.int32) for x in xs], weights, edges)
    with pytest.raises(TypeError, match=r"^graph_fusion: .+ must be .+, got .+; .+\.$"):
        fusion.graph_fusion(xs, weights, edges, present=present.astype(np.float32))


def _knn_oracle(x, k, metric):
    n = len(x)
    edges = np.zeros((n, n))
    for i in range(n):
        if metric == "cosine":
            near = x @ x[i] / np.maximum(np.linalg.norm(x, axis=1) * np.linalg.norm(x[i]), 1e-30)
        else:
            near = -((x - x[i]) ** 2).sum(axis=1)
        others = [j for j in sorted(range(n), key=lambda j: (-near[j], j)) if j != i]
        edges[i, others[:k]] = edges[others[:k], i] = 1
    return edges


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_neighbours_are_those_of_the_kept_samples_alone(k, metric, x64):
    rng = np.random.default_rng(k)
    x, where = rng.normal(size=(12, 4)), rng.random(12) < 0.7
    expected = np.zeros((12, 12))
    expected[np.ix_(where, where)] = _knn_oracle(x[where], k, metric)
    graph = jax.jit(lambda x, where: fusion.knn_adjacency(x, k=k, where=where, metric=metric))
    for payload in (0.0, np.nan, np.inf, 1e200):
        got = graph(np.where(where[:, None], x, payload), where)
        np.testing.assert_array_equal(got, expected)
    everything = fusion.knn_adjacency(x, k=k, metric=metric)
    np.testing.assert_array_equal(everything, _knn_oracle(x, k, metric))


def test_ties_and_zero_vectors_choose_the_first():
    # All are as near as any: 0 chooses 1, the others choose 0. Cosine of a zero vector is 0.
    star = np.array([[0, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]], np.float32)
    for x in (np.zeros((4, 2)), np.ones((4, 2)), np.eye(4)):
        got = fusion.knn_adjacency(x.astype(np.float32), k=1)
        np.testing.assert_array_equal(got, star)


def test_cosine_ignores_length_and_distance_does_not():
    # By angle the first is nearest to the second, by distance the first and the last are a pair.
    x = np.array([[1, 0], [5, 0.1], [5, 0.3], [0.9, 0.4]], np.float32)
    np.testing.assert_array_equal(fusion.knn_adjacency(x, k=1)[0], [0, 1, 0, 0])
    by_distance = fusion.knn_adjacency(x, k=1, metric="euclidean")
    np.testing.assert_array_equal(by_distance, np.eye(4)[[3, 2, 1, 0]])


def test_one_sample_and_no_sample_have_no_edges_and_no_gradient():
    np.testing.assert_array_equal(fusion.knn_adjacency(jnp.ones((1, 2)), k=3), [[0.0]])
    nobody = jnp.zeros(4, bool)
    assert not fusion.knn_adjacency(jnp.full((4, 2), jnp.nan), k=1, where=nobody).any()
    slope = jax.grad(lambda x: fusion.knn_adjacency(x, k=1).sum())(jnp.eye(3))
    np.testing.assert_array_equal(slope, np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"x": np.ones(3)}, ValueError),
        ({"k": 0}, ValueError),
        ({"metric": "cosin"}, ValueError),
        ({"where": np.ones(4, bool)}, ValueError),
        ({"where": np.ones(3)}, TypeError),
    ],
)
def test_bad_arguments_of_the_graph_are_refused(options, error, no_jaxtyping):
    arguments = {"x": np.eye(3, dtype=np.float32), "k": 1, **options}
    with pytest.raises(error, match=r"^knn_adjacency: .+ must .+, got .+; .+"):
        fusion.knn_adjacency(arguments.pop("x"), **arguments)


def test_module_stores_the_weights():
    from flax import nnx

    from crossmodal_jax import nn

    xs, _, edges, present = _case(dtype="float32")
    fuse = nn.GraphFusion(_DIMS, 4, num_layers=3, activation=jnp.tanh, rngs=nnx.Rngs(params=3))
    weights = fusion.init_graph_fusion(nnx.Rngs(params=3).params(), _DIMS, 4, num_layers=3)
    jax.tree.map(np.testing.assert_array_equal, fuse.weights, weights)
    np.testing.assert_array_equal(
        fuse(xs, edges, present=present),
        fusion.graph_fusion(xs, weights, edges, present=present, activation=jnp.tanh),
    )
