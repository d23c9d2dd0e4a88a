"""Process start-up: what it reads, and two real processes on loopback."""

import jax
import numpy as np
import pytest

from crossmodal_jax.parallel import initialize

VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


@pytest.fixture
def calls(monkeypatch):
    """What reaches `jax.distributed.initialize`, with an environment that says nothing."""
    seen = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda **kwargs: seen.append(kwargs))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return seen


def test_environment_is_read_and_arguments_win(calls, monkeypatch):
    for name, value in zip(VARIABLES, ("host:1", "4", "3"), strict=True):
        monkeypatch.setenv(name, value)
    initialize()
    initialize(process_id=0)
    assert calls == [
        {"coordinator_address": "host:1", "num_processes": 4, "process_id": 3},
        {"coordinator_address": "host:1", "num_processes": 4, "process_id": 0},
    ]


def test_nothing_known_leaves_it_to_the_launcher(calls):
    initialize()
    assert calls == [{}]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("host:1", None, "0"), "got no JAX_NUM_PROCESSES; pass"),
        ((None, "2", None), "got no JAX_COORDINATOR_ADDRESS and no JAX_PROCESS_ID"),
        (("host:1", "two", "0"), "JAX_NUM_PROCESSES must be a whole number, got 'two'"),
        (("host:1", "2", "2"), r"must lie in \[0, 2\), got 2"),
        (("host:1", "2", "-1"), r"must lie in \[0, 2\), got -1"),
    ],
)
def test_half_an_environment(calls, monkeypatch, values, words):
    for name, value in zip(VARIABLES, values, strict=True):
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words):
        initialize()
    assert calls == []


PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from crossmodal_jax import parallel
parallel.initialize()
mesh = parallel.data_mesh()
rank = jax.process_index()
x = np.arange(24, dtype=np.float32).reshape(8, 3) / 10
batch = parallel.shard_batch({"x": x[4 * rank : 4 * rank + 4]}, mesh)
params = parallel.replicate(np.ones((3, 2), np.float32), mesh)
loss = lambda w, b: jnp.mean(jax.nn.logsumexp(jnp.tanh(b["x"] @ w) @ jnp.tanh(b["x"] @ w).T, 1))
value, grad = jax.jit(jax.value_and_grad(loss))(params, batch)
print("RESULT", rank, mesh.size, float(value), *np.asarray(grad).ravel().tolist(), flush=True)
"""


@pytest.mark.slow
def test_two_processes_equal_one(two_processes):
    lines = two_processes(PROGRAM)
    x = np.arange(24, dtype=np.float32).reshape(8, 3) / 10

    def loss(w):
        z = jax.numpy.tanh(x @ w)
        return jax.numpy.mean(jax.nn.logsumexp(z @ z.T, axis=1))

    value, grad = jax.value_and_grad(loss)(np.ones((3, 2), np.float32))
    expected = [4.0, float(value), *np.asarray(grad).ravel().tolist()]
    for rank, numbers in enumerate(lines):
        assert numbers[0] == rank
        np.testing.assert_allclose(numbers[1:], expected, rtol=1e-6, atol=1e-6)
