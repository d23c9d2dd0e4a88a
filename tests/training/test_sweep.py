"""A sweep against each of its configurations run alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from crossmodal_jax.training import (
    fit,
    hyperparameter_grid,
    init_state,
    make_train_step,
    sweep,
)

NUM_STEPS = 30
X = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
Y = np.tanh(X @ np.random.default_rng(1).normal(size=(6, 2))).astype(np.float32)


def predict(params, x):
    return jnp.tanh(x @ params["a"]) @ params["b"]


def run(hyper):
    """One run, written as if it were alone; everything in `hyper` is a scalar."""
    tx = optax.adamw(hyper["learning_rate"], weight_decay=hyper["weight_decay"])

    def loss_fn(params, batch, key):
        x = batch[0] + hyper["noise"] * jax.random.uniform(key, batch[0].shape)
        return jnp.mean((predict(params, x) - batch[1]) ** 2), {}

    def score(params):
        return -jnp.mean((predict(params, jnp.asarray(X[60:])) - Y[60:]) ** 2)

    # Sines in place of normal draws: they compile in no time.
    phase = hyper["seed"].astype(jnp.float32)
    params = {
        "a": jnp.sin(phase + jnp.arange(48.0).reshape(6, 8)) / 2,
        "b": jnp.cos(phase + jnp.arange(16.0).reshape(8, 2)) / 2,
    }
    key = jax.random.key(hyper["seed"])
    return init_state(params, tx, key), make_train_step(loss_fn, tx), score


def get_batch(step):
    rows = (17 * step + 7 * jnp.arange(16)) % 60
    return jnp.asarray(X)[rows], jnp.asarray(Y)[rows]


GRID = hyperparameter_grid(
    learning_rate=[1e-3, 3e-2], weight_decay=[0.0, 0.1], noise=[0.05], seed=[0, 1]
)


@pytest.fixture(scope="module")
def result():
    return sweep(run, GRID, get_batch, num_steps=NUM_STEPS)


def test_grid_is_the_product():
    k = 8
    assert {name: (v.shape, v.dtype) for name, v in GRID.items()} == {
        "learning_rate": ((k,), jnp.float32),
        "weight_decay": ((k,), jnp.float32),
        "noise": ((k,), jnp.float32),
        "seed": ((k,), jnp.int32),
    }
    rows = np.stack([GRID["learning_rate"], GRID["weight_decay"], GRID["seed"]], 1).round(4)
    assert len(np.unique(rows, axis=0)) == k


def test_each_configuration_equals_its_own_run(result):
    for i in (0, 7):
        state, step, score = run(jax.tree.map(lambda v, i=i: v[i], GRID))
        state, metrics = fit(step, state, get_batch, num_steps=NUM_STEPS)
        # Batched and single matrix products round differently, and Adam amplifies it.
        np.testing.assert_allclose(result.scores[i], score(state.params), rtol=1e-3)
        np.testing.assert_allclose(result.metrics["loss"][:, i], metrics["loss"], rtol=1e-3)
        assert int(result.state.step[i]) == NUM_STEPS
    assert result.metrics["loss"].shape == (NUM_STEPS, 8)


def test_best_is_the_highest_score(result):
    assert int(result.best) == int(np.argmax(result.scores))
    assert float(GRID["learning_rate"][result.best]) == pytest.approx(3e-2)


def test_dispatches_and_progress_change_nothing(result):
    seen = []
    other = sweep(
        run,
        GRID,
        get_batch,
        num_steps=NUM_STEPS,
        steps_per_dispatch=13,
        on_dispatch=lambda state, metrics: seen.append(metrics["loss"].shape),
    )
    assert seen == [(13, 8), (13, 8), (4, 8)]
    for got, expected in [
        (other.scores, result.scores),
        (other.state.params["a"], result.state.params["a"]),
        (other.metrics["loss"], result.metrics["loss"]),
    ]:
        np.testing.assert_array_equal(got, expected)


def test_one_compilation_for_all_and_a_stopped_sweep_is_scored(caplog):
    calls = []

    def counted(hyper):
        calls.append(1)
        return run(hyper)

    stop = lambda state, metrics: True
    with jax.log_compiles(True):
        stopped = sweep(
            counted, GRID, get_batch, num_steps=9, steps_per_dispatch=4, on_dispatch=stop
        )
    assert len(calls) == 3  # the initial states, the steps, the scores: each traced once
    compiled = [r for r in caplog.records if "Finished XLA compilation" in r.getMessage()]
    assert sum("jit(dispatch)" in r.getMessage() for r in compiled) == 1
    assert stopped.metrics["loss"].shape == (4, 8)
    assert np.isfinite(stopped.scores).all()


def test_diverged_configuration_never_wins():
    def scored(hyper):
        tx = optax.sgd(hyper["learning_rate"])
        step = make_train_step(lambda params, batch, key: (params**2, {}), tx)
        state = init_state(jnp.float32(1), tx, jax.random.key(0))
        return state, step, lambda params: jnp.where(hyper["learning_rate"] > 1, jnp.nan, -1.0)

    hyperparams = {"learning_rate": jnp.array([5.0, 0.1])}
    result = sweep(scored, hyperparams, get_batch, num_steps=2)
    assert np.isnan(result.scores[0])
    assert int(result.best) == 1


@pytest.mark.parametrize(
    ("hyperparams", "options", "words"),
    [
        ({"a": np.ones(2), "b": np.ones(3)}, {"num_steps": 1}, r"\['b'\]\": \(3,\)"),
        ({"a": np.ones(2), "b": 1.0}, {"num_steps": 1}, "must share one leading axis"),
        ({}, {"num_steps": 1}, "must share one leading axis"),
        ({"a": np.ones(2)}, {"num_steps": -1}, "`num_steps` must be at least"),
        ({"a": np.ones(2)}, {"num_steps": 2, "steps_per_dispatch": 0}, "at least 1, got 0"),
    ],
)
def test_impossible_sweeps(hyperparams, options, words):
    with pytest.raises(ValueError, match=words):
        sweep(run, hyperparams, get_batch, **options)


@pytest.mark.parametrize("values", [{}, {"a": [1], "b": []}])
def test_empty_grid(values):
    with pytest.raises(ValueError, match="every name needs values to try"):
        hyperparameter_grid(**values)
