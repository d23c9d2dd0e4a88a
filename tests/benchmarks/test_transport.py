"""Sinkhorn in the benchmark suite: all implementations and the peer make the same iterates."""

import importlib.util

import jax
import numpy as np


def test_all_implementations_make_the_iterates_of_the_reference(load):
    transport, references = load("cases_transport"), load("references")
    x, y = transport._clouds(300, 8)
    expected = references.sinkhorn(
        x.astype(np.float64),
        y.astype(np.float64),
        epsilon=transport.EPSILON,
        iterations=transport.ITERATIONS,
    )
    cases = transport.cases(quick=True)
    assert [case.implementation for case in cases] == ["xla", "streamed", "ott", "ott-online"]
    for case in cases:
        got = jax.jit(case.function)(x, y)
        for potential, reference in zip(got, expected, strict=True):
            np.testing.assert_allclose(potential, reference, rtol=1e-5, atol=2e-6)
    one_less = references.sinkhorn(x, y, epsilon=0.1, iterations=transport.ITERATIONS - 1)
    assert np.abs(one_less[0] - expected[0]).max() > 1e-5


def test_without_the_peer_its_cases_are_left_out(load, monkeypatch):
    environment = load("environment")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    names = [case.implementation for case in load("cases_transport").cases(quick=False)]
    assert names == ["xla", "streamed"]
    monkeypatch.setattr(environment, "PEERS", ("a-package-that-is-not-there",))
    assert environment.peers() == {"a-package-that-is-not-there": None}
