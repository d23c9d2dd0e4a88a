"""The memory queue: a bounded list in Python, any batch, scans, and the negatives it adds."""

import collections
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from crossmodal_jax import kernels, losses

SIZE = 5
update = jax.jit(lambda queue, rows, keep: losses.update_memory_queue(queue, rows, where=keep))


def contents(queue):
    """The rows from the oldest to the newest."""
    order = (np.arange(SIZE) + queue.position) % SIZE
    return np.asarray(queue.rows)[order][np.asarray(queue.filled)[order]]


@pytest.mark.parametrize("n", [1, 3, 5, 13])  # 13: wraps around more than once
def test_holds_the_last_kept_rows(n):
    rng = np.random.default_rng(n)
    expected = collections.deque(maxlen=SIZE)
    queue = losses.init_memory_queue(SIZE, 2)
    for _ in range(7):
        rows, keep = rng.normal(size=(n, 2)).astype(np.float32), rng.random(n) < 0.7
        expected.extend(rows[keep])
        rows[~keep] = np.nan
        queue = update(queue, rows, keep)
        np.testing.assert_array_equal(contents(queue), np.reshape(expected, (-1, 2)))
        assert not np.asarray(queue.rows)[~np.asarray(queue.filled)].any()
        assert 0 <= queue.position < SIZE


def test_is_a_state_of_scans_and_keeps_its_dtypes(x64):
    rows = np.random.default_rng(0).normal(size=(4, 3, 2))
    start = losses.init_memory_queue(SIZE, 2, dtype="bfloat16")
    step = lambda queue, rows: (losses.update_memory_queue(queue, rows), None)
    queue, _ = jax.jit(lambda queue: jax.lax.scan(step, queue, rows))(start)
    assert queue.rows.dtype == jnp.bfloat16
    expected = rows.reshape(12, 2)[-SIZE:].astype(jnp.bfloat16)
    np.testing.assert_array_equal(contents(queue), expected)


def test_adds_negatives_that_are_constants():
    x, y, past = np.random.default_rng(0).normal(size=(3, 4, 3)).astype(np.float32)
    keep = np.array([True, False, True, True])

    def loss(x, y, past):
        queue = losses.update_memory_queue(losses.init_memory_queue(6, 3), past)
        filled = jnp.concatenate([keep, queue.filled])
        candidates = jnp.concatenate([y, queue.rows])
        sums = kernels.log_sums(x, candidates, where=keep, where_y=filled)
        values = sums.rows - sums.matches
        return jnp.sum(values), values

    (_, values), slopes = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(x, y, past)
    z = x[keep] @ np.concatenate([y[keep], past]).T
    expected = np.zeros(4)
    expected[keep] = logsumexp(z, axis=1) - np.diag(z)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
    assert all(np.any(slope) for slope in slopes[:2])
    assert not np.any(slopes[2])


def test_bad_arguments_are_refused(no_jaxtyping):
    with pytest.raises(ValueError, match="init_memory_queue: `size` must be at least 1, got 0"):
        losses.init_memory_queue(0, 2)
    refused = functools.partial(losses.update_memory_queue, losses.init_memory_queue(3, 2))
    with pytest.raises(ValueError, match=r"`rows` must have the width of the queue, \[n, 2\]"):
        refused(jnp.ones((1, 3)))
    with pytest.raises(TypeError, match=r"update_memory_queue: `where` must be boolean"):
        refused(jnp.ones((1, 2)), where=jnp.ones(1))
