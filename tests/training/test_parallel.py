"""The engine on eight devices against the engine on one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from crossmodal_jax.parallel import data_mesh, replicate, shard_batch
from crossmodal_jax.training import fit, init_state, make_train_step
from crossmodal_jax.training._dispatch import _compile

X = np.random.default_rng(0).normal(size=(6, 32, 10)).astype(np.float32)
TX = optax.sgd(0.1, momentum=0.9)


def loss_fn(params, batch, key):
    """Contrastive: every row needs all the others."""
    rows = batch + 0.1 * jax.random.uniform(key, batch.shape)
    x, y = rows[:, :5] @ params, rows[:, 5:] @ params
    logits = x @ y.T
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - jnp.diag(logits)), {}


def start():
    return init_state(jnp.eye(5, 4), TX, jax.random.key(0))


def test_step_on_eight_devices_equals_one():
    mesh = data_mesh()
    step = jax.jit(make_train_step(loss_fn, TX))
    one, eight = start(), replicate(start(), mesh)
    for batch in X[:3]:
        one, expected = step(one, batch)
        eight, metrics = step(eight, shard_batch(batch, mesh))
        np.testing.assert_allclose(metrics["loss"], expected["loss"], rtol=1e-6)
    np.testing.assert_allclose(eight.params, one.params, rtol=1e-6, atol=1e-6)


def test_fit_on_eight_devices_equals_one_and_compiles_once(caplog):
    mesh = data_mesh()
    data = shard_batch(X.transpose(1, 0, 2), mesh)  # rows over the devices, batches by column
    step = make_train_step(loss_fn, TX)
    expected, _ = fit(step, start(), lambda number: jnp.asarray(X)[number % 6], num_steps=12)
    with jax.log_compiles(True):
        got, metrics = fit(
            step,
            replicate(start(), mesh),
            lambda number: data[:, number % 6],
            num_steps=12,
            steps_per_dispatch=5,
        )
    np.testing.assert_allclose(got.params, expected.params, rtol=1e-5, atol=1e-6)  # twelve steps
    assert got.params.sharding.is_fully_replicated
    assert metrics["loss"].shape == (12,)
    compiled = [r for r in caplog.records if "Finished XLA compilation" in r.getMessage()]
    assert sum("jit(dispatch)" in r.getMessage() for r in compiled) == 1


def test_layout_of_the_state_survives_data_of_another():
    """Left to itself the compiler would hand this state back in the layout of the data."""
    mesh = data_mesh()
    data, state = shard_batch(np.ones((8, 4), np.float32), mesh), replicate(jnp.zeros((8, 4)), mesh)
    advance = lambda state, number: (state + data, {"sum": state.sum()})
    dispatch, consts, _ = _compile(advance, state, 4)
    state, metrics = dispatch(consts, state, jnp.int32(0), jnp.int32(3))
    assert state.sharding.is_fully_replicated
    np.testing.assert_array_equal(metrics["sum"], [0, 32, 64, 0])
