import jax
import numpy as np
import pytest

from crossmodal_jax import data


def batches(n, log=None):
    for i in range(n):
        if log is not None:
            log.append(i)
        yield {"x": np.full((2, 3), i, np.float32), "present": {"x": np.array([True, i % 2 == 0])}}


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_batches_come_whole_and_in_order(n, size):
    got = list(data.prefetch(batches(n), size))
    assert len(got) == n
    for batch, expected in zip(got, batches(n), strict=True):
        assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(batch))
        jax.tree.map(np.testing.assert_array_equal, batch, expected)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_never_more_ahead_than_size(size):
    log = []
    for taken, _ in enumerate(data.prefetch(batches(10, log), size)):
        assert len(log) == min(taken + size, 10)


def test_nothing_is_read_before_the_first_batch():
    log = []
    data.prefetch(batches(3, log))
    assert log == []


def test_infinite_iterators_are_fine():
    def forever():
        while True:
            yield np.zeros(1)

    ahead = data.prefetch(forever())
    assert next(ahead).shape == next(ahead).shape == (1,)


def test_errors_pass_through_after_the_batches_before():
    def broken():
        yield from batches(3)
        raise RuntimeError("disk on fire")

    ahead = data.prefetch(broken(), 2)
    assert [int(next(ahead)["x"][0, 0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="disk on fire"):
        next(ahead)


def test_batches_go_where_they_are_sent():
    device = jax.devices()[1]
    (batch,) = data.prefetch(batches(1), device=device)
    assert batch["x"].devices() == {device}


def test_integers_that_would_be_cut_are_refused():
    good, bad = {"id": np.array([2**31 - 1])}, {"id": np.array([2**40])}
    assert next(data.prefetch([good]))["id"].tolist() == [2**31 - 1]
    with pytest.raises(ValueError, match=r"prefetch: \['id'\] must fit int32, got values"):
        next(data.prefetch([bad]))
    with jax.enable_x64(True):
        assert next(data.prefetch([bad]))["id"].tolist() == [2**40]


def test_a_faulty_size_is_refused_at_once():
    with pytest.raises(ValueError, match="prefetch: `size` must be at least 1, got 0"):
        data.prefetch(batches(1), 0)
