"""The engine: cutting, stopping and resuming a run never changes a bit of it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from crossmodal_jax.training import fit, init_state, make_train_step
from crossmodal_jax.training._dispatch import _compile

NUM_STEPS = 23
DATA = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)


def loss_fn(params, batch, key):
    noisy = batch + 0.1 * jax.random.uniform(key, batch.shape)
    hidden = jnp.tanh(noisy @ params["a"])
    return jnp.mean((hidden @ params["b"] - batch) ** 2), {"spread": jnp.std(hidden)}


def get_batch(step):
    rows = (19 * step + 5 * jnp.arange(8)) % 64
    return jnp.asarray(DATA)[rows]


TX = optax.adamw(optax.warmup_cosine_decay_schedule(0.0, 1e-2, 5, NUM_STEPS))
STEP = make_train_step(loss_fn, TX)


def start():
    params = {"a": jnp.sin(jnp.arange(20.0)).reshape(5, 4), "b": jnp.ones((4, 5)) / 4}
    return init_state(params, TX, jax.random.key(1))


def raw(tree):
    """Leaves as NumPy arrays, keys as their data."""
    data = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return [np.asarray(data(x)) for x in jax.tree.leaves(tree)]


def assert_same_bits(got, expected):
    for x, y in zip(raw(got), raw(expected), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module")
def whole():
    return fit(STEP, start(), get_batch, num_steps=NUM_STEPS, steps_per_dispatch=NUM_STEPS)


def test_fit_is_the_python_loop(whole):
    state, history = start(), []
    step = jax.jit(lambda state: STEP(state, get_batch(state.step)))
    for _ in range(NUM_STEPS):
        state, metrics = step(state)
        history.append(metrics)
    # Another program, so float32 rounding may differ.
    for got, expected in zip(raw(whole[0]), raw(state), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    for name, values in whole[1].items():
        assert values.shape == (NUM_STEPS,)
        np.testing.assert_allclose(values, [m[name] for m in history], rtol=1e-4)


@pytest.mark.parametrize("chunk", [1, 4, 50])
def test_chunking_changes_no_bit(whole, chunk):
    assert_same_bits(
        fit(STEP, start(), get_batch, num_steps=NUM_STEPS, steps_per_dispatch=chunk), whole
    )


def test_stop_at_any_dispatch_and_resume_with_other_chunks(whole):
    for stop in (1, 2):  # dispatches of eight steps: killed after 8 and 16
        calls = []

        def on_dispatch(state, metrics, calls=calls, stop=stop):
            calls.append((int(state.step), metrics["loss"].shape))
            return len(calls) == stop

        state, first = fit(
            STEP,
            start(),
            get_batch,
            num_steps=NUM_STEPS,
            steps_per_dispatch=8,
            on_dispatch=on_dispatch,
        )
        assert int(state.step) == min(8 * stop, NUM_STEPS) == calls[-1][0]
        state, second = fit(
            STEP, state, get_batch, num_steps=NUM_STEPS, steps_per_dispatch=3 * stop
        )
        joined = jax.tree.map(lambda a, b: np.concatenate([a, b]), first, second)
        assert_same_bits((state, joined), whole)


def test_callback_sees_numpy_metrics_of_each_dispatch(whole):
    seen = []
    fit(
        STEP,
        start(),
        get_batch,
        num_steps=NUM_STEPS,
        steps_per_dispatch=10,
        on_dispatch=lambda state, metrics: seen.append(metrics["loss"]),
    )
    assert [(type(x), len(x)) for x in seen] == [
        (np.ndarray, 10),
        (np.ndarray, 10),
        (np.ndarray, 3),
    ]
    np.testing.assert_array_equal(np.concatenate(seen), whole[1]["loss"])


def test_one_trace_one_compilation(caplog):
    traces = []

    def counted(state, batch):
        traces.append(1)
        return STEP(state, batch)

    with jax.log_compiles(True):
        fit(counted, start(), get_batch, num_steps=NUM_STEPS, steps_per_dispatch=4)
    assert len(traces) == 1
    compiled = [r for r in caplog.records if "Finished XLA compilation" in r.getMessage()]
    assert sum("jit(dispatch)" in r.getMessage() for r in compiled) == 1


def test_data_are_arguments_of_the_program():
    """A data set in the closure is not written into the compiled program."""
    data = jnp.ones((1000, 1000))
    advance = lambda state, step: (state + data[step].sum(), {})
    dispatch, consts, _ = _compile(advance, jnp.float32(0), 4)
    lowered = dispatch.lower(consts, jnp.float32(0), jnp.int32(0), jnp.int32(2))
    assert len(lowered.as_text()) < 20_000  # four million bytes of data would show


def test_caller_keeps_its_state():
    state = start()
    fit(STEP, state, get_batch, num_steps=3)
    assert_same_bits(state, start())


def test_nothing_to_do(whole):
    state, metrics = fit(STEP, whole[0], get_batch, num_steps=NUM_STEPS)
    assert_same_bits(state, whole[0])
    assert {name: m.shape for name, m in metrics.items()} == dict.fromkeys(whole[1], (0,))


def test_bad_batch_inside_a_dispatch():
    poisoned = lambda step: jnp.where(step == 7, jnp.nan, get_batch(step))
    state, metrics = fit(STEP, start(), poisoned, num_steps=NUM_STEPS, steps_per_dispatch=6)
    assert int(state.skipped) == 1
    np.testing.assert_array_equal(np.flatnonzero(metrics["skipped"]), [7])
    assert all(np.isfinite(x).all() for x in raw(state))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_steps": -1}, "`num_steps` must be at least the steps taken, got num_steps=-1"),
        ({"num_steps": 3, "steps_per_dispatch": 0}, "must be at least 1, got 0"),
    ],
)
def test_impossible_runs(options, words):
    with pytest.raises(ValueError, match=words):
        fit(STEP, start(), get_batch, **options)
