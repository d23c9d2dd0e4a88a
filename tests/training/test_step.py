"""The guarded step against optax written out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from crossmodal_jax.training import init_state, make_train_step


def linear_loss(params, batch, key):
    prediction = batch["x"] @ params["w"] + params["b"]
    return jnp.mean((prediction - batch["y"]) ** 2), {"bias": params["b"]}


def make_batches(num, *, n=16, d=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(num, n, d)).astype(np.float32)
    y = (x @ np.array([1.0, -2.0, 0.5]) + 0.3).astype(np.float32)
    return [{"x": x[i], "y": y[i]} for i in range(num)]


def start(tx):
    params = {"w": jnp.zeros(3, jnp.float32), "b": jnp.zeros((), jnp.float32)}
    return init_state(params, tx, jax.random.key(7))


def all_finite(tree):
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(tree)))


OPTIMIZERS = {
    "adamw": optax.adamw(1e-2),
    "clipped sgd": optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1, momentum=0.9)),
    "schedule": optax.adam(optax.cosine_decay_schedule(1e-2, 10)),
}


@pytest.mark.parametrize("tx", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_step_is_the_optax_loop(tx):
    state, step = start(tx), jax.jit(make_train_step(linear_loss, tx))
    params, opt_state = state.params, state.opt_state
    for batch in make_batches(4):
        state, metrics = step(state, batch)
        (loss, _), grads = jax.value_and_grad(linear_loss, has_aux=True)(params, batch, None)
        updates, opt_state = tx.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
        np.testing.assert_allclose(
            metrics["grad_norm"],
            np.sqrt(sum(np.sum(np.float64(g) ** 2) for g in jax.tree.leaves(grads))),
            rtol=1e-6,
        )
    assert set(metrics) == {"loss", "grad_norm", "skipped", "bias"}
    assert (int(state.step), int(state.skipped)) == (4, 0)
    for got, expected in zip(jax.tree.leaves(state.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)  # jit against eager


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e25])
@pytest.mark.parametrize("k", [0, 2])
def test_bad_batch_equals_its_absence(bad, k):
    tx = OPTIMIZERS["adamw"]
    step = jax.jit(make_train_step(linear_loss, tx))
    batches = make_batches(5)
    broken = [{**b, "x": b["x"].copy()} for b in batches]
    broken[k]["x"][3, 1] = bad

    def run(batches):
        state = start(tx)
        for batch in batches:
            state, metrics = step(state, batch)
            assert all_finite((state.params, state.opt_state))
        return state, metrics

    got, _ = run(broken)
    expected, _ = run(batches[:k] + batches[k + 1 :])
    assert (int(got.step), int(got.skipped)) == (5, 1)
    assert (int(expected.step), int(expected.skipped)) == (4, 0)
    # The very bits: params and optimiser state, its step counter included.
    jax.tree.map(
        np.testing.assert_array_equal,
        (got.params, got.opt_state),
        (expected.params, expected.opt_state),
    )


def test_every_guard_has_its_own_cause():
    """A finite loss with an infinite gradient, and a finite gradient with a NaN update."""
    tx = optax.sgd(1.0)
    root = lambda params, batch, key: (jnp.sqrt(params * batch), {})  # slope inf at 0
    step = jax.jit(make_train_step(root, tx))
    state, metrics = step(init_state(jnp.float32(0), tx, jax.random.key(0)), jnp.float32(1))
    assert np.isfinite(metrics["loss"])
    assert np.isinf(metrics["grad_norm"])
    assert (int(state.skipped), float(state.params)) == (1, 0.0)

    nan_update = optax.stateless(lambda updates, params: jax.tree.map(jnp.log, updates))
    line = lambda params, batch, key: (-params * batch, {})
    step = jax.jit(make_train_step(line, nan_update))
    state = init_state(jnp.float32(0), nan_update, jax.random.key(0))
    state, metrics = step(state, jnp.float32(1))
    assert float(metrics["grad_norm"]) == 1
    assert (int(state.skipped), float(state.params)) == (1, 0.0)


def test_every_leaf_learns_and_types_stay():
    params = {
        "half": jnp.ones((2,), jnp.bfloat16),
        "list": [jnp.ones((2, 2)), jnp.asarray(1.0)],  # the last is weakly typed
    }
    tx = optax.adam(0.1)
    loss = lambda params, batch, key: (
        sum(jnp.sum(leaf.astype(jnp.float32) ** 2) for leaf in jax.tree.leaves(params)),
        {},
    )
    state = init_state(params, tx, jax.random.key(0))
    new, _ = jax.jit(make_train_step(loss, tx))(state, None)
    kinds = lambda s: [(x.dtype, x.weak_type, x.shape) for x in jax.tree.leaves(s[:3])]
    assert kinds(new) == kinds(state)
    for before, after in zip(
        jax.tree.leaves(state.params), jax.tree.leaves(new.params), strict=True
    ):
        assert (np.asarray(before) != np.asarray(after)).all()


def test_key_is_a_function_of_seed_and_step():
    tx = optax.sgd(0.0)
    draw = lambda params, batch, key: (params * 0, {"draw": jax.random.uniform(key)})
    step = jax.jit(make_train_step(draw, tx))
    state = init_state(jnp.float32(1), tx, jax.random.key(3))
    for number in range(3):
        state, metrics = step(state, None)
        expected = jax.random.uniform(jax.random.fold_in(jax.random.key(3), number))
        assert float(metrics["draw"]) == float(expected)


def test_legacy_keys_work_too():
    tx = optax.sgd(0.1)
    state = init_state(jnp.float32(1), tx, jax.random.PRNGKey(3))
    loss = lambda params, batch, key: (params * jax.random.uniform(key), {})
    state, _ = jax.jit(make_train_step(loss, tx))(state, None)
    assert int(state.step) == 1


def test_step_itself_is_strict(strict):
    tx = optax.sgd(0.1)  # optax.adam mixes dtypes itself
    loss = lambda params, batch, key: (jnp.sum(jnp.square(params - batch)), {})
    state = init_state(jnp.zeros(2, jnp.float32), tx, jax.random.key(0))
    state, _ = jax.jit(make_train_step(loss, tx))(state, jnp.ones(2, jnp.float32))
    np.testing.assert_allclose(state.params, 0.2, rtol=1e-6)


def test_float64_stays(x64):
    tx = optax.sgd(0.1)
    loss = lambda params, batch, key: (jnp.sum((params - batch) ** 2), {})
    state = init_state(jnp.zeros(2, jnp.float64), tx, jax.random.key(0))
    state, metrics = jax.jit(make_train_step(loss, tx))(state, jnp.ones(2, jnp.float64))
    assert state.params.dtype == metrics["grad_norm"].dtype == jnp.float64


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (lambda p, b, k: jnp.sum(p), TypeError, r"must return \(scalar loss, dict"),
        (lambda p, b, k: (p, {}), TypeError, r"got shapes \(\(2,\)"),
        (lambda p, b, k: (jnp.sum(p), {"loss": 1.0}), ValueError, r"got \['loss'\]; rename"),
    ],
)
def test_wrong_loss_says_so(loss, error, words, no_jaxtyping):
    tx = optax.sgd(0.1)
    state = init_state(jnp.zeros(2), tx, jax.random.key(0))
    with pytest.raises(error, match=words):
        make_train_step(loss, tx)(state, None)
