import collections
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import data
from crossmodal_jax.data import _sampler

KEY = jax.random.key(7)


def stream(num_rows, batch_size, num_steps, key=KEY, start=0):
    call = lambda step: data.sample_rows(key, step, num_rows, batch_size)
    return np.asarray(jax.jit(jax.vmap(call))(start + jnp.arange(num_steps))).reshape(-1)


@pytest.mark.parametrize(
    ("num_rows", "batch_size"),
    [(1, 5), (6, 2), (7, 20), (129, 128)],
)
def test_every_epoch_has_every_row_once(num_rows, batch_size):
    num_epochs = 5
    num_steps = -(-num_epochs * num_rows // batch_size)
    rows = stream(num_rows, batch_size, num_steps)[: num_epochs * num_rows]
    epochs = rows.reshape(num_epochs, num_rows)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(range(num_rows), (5, 1)))
    if num_rows > 50:
        for a, b in itertools.combinations(epochs, 2):
            assert (a == b).mean() < 0.1  # fresh shuffles agree in one row on average


def test_batch_size_only_cuts_the_stream():
    whole = stream(50, 200, 1)
    for batch_size in (7, 199):
        np.testing.assert_array_equal(stream(50, batch_size, -(-200 // batch_size))[:200], whole)


def test_large_data_is_a_permutation_too():
    num_rows = 10**6 + 3
    rows = stream(num_rows, num_rows, 1)
    np.testing.assert_array_equal(np.sort(rows), np.arange(num_rows))
    # Correlation of row and position of a uniform permutation: 0 with deviation 1/√n = 0.001.
    assert abs(np.corrcoef(rows, np.arange(num_rows))[0, 1]) < 0.005


@pytest.mark.parametrize("n", [3, 5])
def test_all_permutations_are_equally_likely(n):
    """Chi-square over all n! orders, at five standard deviations."""
    orders = stream(n, n, 20_000).reshape(-1, n)
    counts = collections.Counter(map(tuple, orders.tolist()))
    expected = 20_000 / np.prod(range(1, n + 1))
    every = itertools.permutations(range(n))
    statistic = sum((counts[order] - expected) ** 2 / expected for order in every)
    freedom = 20_000 / expected - 1
    assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_places_and_successors_are_uniform():
    n, num_epochs = 60, 5000
    orders = stream(n, n, num_epochs).reshape(num_epochs, n)
    places = np.zeros((n, n))
    np.add.at(places, (np.broadcast_to(np.arange(n), orders.shape), orders), 1)
    steps = np.bincount((np.diff(orders, axis=1) % n).ravel(), minlength=n)[1:]
    for counts, freedom in ((places, (n - 1) ** 2), (steps, n - 2)):
        expected = counts.mean()
        statistic = ((counts - expected) ** 2 / expected).sum()
        assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_pure_in_key_and_step_and_traceable():
    call = jax.jit(lambda step: data.sample_rows(KEY, step, 100, 10))
    plain = np.stack([call(step) for step in range(12)])
    _, scanned = jax.lax.scan(lambda c, step: (c, call(step)), None, jnp.arange(12))
    np.testing.assert_array_equal(scanned, plain)
    np.testing.assert_array_equal(call(np.int64(5)), plain[5])
    assert scanned.dtype == jnp.int32


def test_keys_may_be_raw_and_traced_and_matter():
    keys = jax.random.split(KEY, 3)
    call = jax.jit(jax.vmap(lambda key: data.sample_rows(key, 3, 100, 10)))
    rows = call(keys)
    np.testing.assert_array_equal(call(jax.random.key_data(keys)), rows)
    assert len({tuple(r) for r in rows.tolist()}) == 3


@pytest.mark.parametrize("num_rows", [1, 5747, 10**7, 2**30 - 1])
@pytest.mark.parametrize("batch_size", [1, 65_537])
def test_positions_beyond_32_bits_match_python(num_rows, batch_size):
    steps = np.array([0, 1, 12_345, 2**24 + 1, 2**31 - 1], np.uint32)
    position = jax.jit(jax.vmap(lambda step: _sampler._position(step, batch_size, num_rows)))
    epoch, offset = position(steps)
    for step, e, o in zip(steps.tolist(), epoch.tolist(), offset.tolist(), strict=True):
        quotient, remainder = divmod(step * batch_size, num_rows)
        assert (e, o) == (quotient % 2**32, remainder)


def test_late_steps_continue_the_epochs():
    # 10^7 rows and step 10^6 of 4,096: position 4.1e9, across a border of epochs.
    num_rows, batch_size = 4096 * 3 + 1, 4096
    start = 10**6
    rows = stream(num_rows, batch_size, 9, start=start)
    skip = -(start * batch_size) % num_rows
    epoch = rows[skip : skip + num_rows]
    np.testing.assert_array_equal(np.sort(epoch), np.arange(num_rows))


def test_memory_does_not_grow_with_the_data():
    sizes = [
        jax.jit(lambda step, n=n: data.sample_rows(KEY, step, n, 64))
        .lower(0)
        .compile()
        .memory_analysis()
        .temp_size_in_bytes
        for n in (10**3, 10**7)
    ]
    assert max(sizes) < 64 * 1024


def test_one_compilation_for_all_steps():
    traces = []

    @jax.jit
    def call(step):
        traces.append(1)
        return data.sample_rows(KEY, step, 10, 4)

    call(0), call(1)
    assert len(traces) == 1


def test_strict_and_x64(strict):
    call = jax.jit(lambda step: data.sample_rows(KEY, step, 100, 10))
    expected = np.asarray(call(np.int32(3)))
    with jax.enable_x64(True):
        np.testing.assert_array_equal(call(np.int64(3)), expected)


@pytest.mark.parametrize(("num_rows", "batch_size"), [(0, 4), (4, 0), (-1, 4), (2**30, 4)])
def test_faulty_sizes_are_named(num_rows, batch_size):
    with pytest.raises(ValueError, match=rf"sample_rows: .* got num_rows={num_rows} and batch"):
        data.sample_rows(KEY, 0, num_rows, batch_size)


def test_a_negative_step_is_refused():
    with pytest.raises(ValueError, match="`step` must be at least 0, got -1"):
        data.sample_rows(KEY, -1, 4, 2)
