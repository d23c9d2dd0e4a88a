"""The learned model: every weight learns, test rows are not read, the sweep chooses."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from crossmodal_jax import training
from crossmodal_jax.pipeline import _learned

HYPER = {"learning_rate": 1e-2, "weight_decay": 0.1, "temperature": 0.1}


@pytest.fixture(scope="module")
def start(tiny, features):
    """Structure, initial state and step of a run of the tiny model."""
    return _learned._start(tiny.learned, features, HYPER, 6, 0)


def test_every_weight_learns(tiny, features, start):
    _, state, step = start
    get_batch = _learned._batches(features, np.arange(100), 32, 0)
    after, metrics = jax.jit(lambda state: step(state, get_batch(state.step)))(state)
    assert not metrics["skipped"]
    rate = HYPER["learning_rate"]
    moved = jax.tree.map(lambda a, b: np.max(np.abs(a - b)), after.params, state.params)
    for path, largest in jax.tree_util.tree_leaves_with_path(moved):
        # The first step of Adam moves whatever has a gradient by the learning rate; weight
        # decay alone, by a tenth of that at most.
        assert largest > 0.5 * rate, path


@pytest.mark.parametrize(
    ("parts", "engine"), [(("train",), "sweep"), (("train", "validation"), "fit")]
)
def test_batches_come_from_the_right_rows(tiny, prepared, features, monkeypatch, parts, engine):
    drawn = set()

    def capture(step, state, get_batch, *, num_steps, **options):
        batches = jax.jit(jax.vmap(lambda number: get_batch(number)["name"][:, 0]))
        drawn.update(np.asarray(batches(jnp.arange(40))).astype(int).ravel().tolist())
        raise InterruptedError

    rows = np.repeat(np.arange(300, dtype=np.float32)[:, None], 12, axis=1)
    numbered = features._replace(arrays=dict.fromkeys(features.arrays, jnp.asarray(rows)))
    monkeypatch.setattr(training, engine, capture)
    learn = {
        "sweep": functools.partial(_learned.tune, tiny.learned, tiny.sweep),
        "fit": functools.partial(_learned.train, tiny.learned, HYPER),
    }
    with pytest.raises(InterruptedError):
        learn[engine](prepared, numbered, seed=0)
    assert drawn == set(np.flatnonzero(prepared.rows(*parts)).tolist())


def test_first_scale_is_the_inverse_temperature(start):
    graph, state, _ = start
    np.testing.assert_allclose(nnx.merge(graph, state.params).logit_scale, 10, rtol=1e-6)


def test_embeddings(prepared, features, start):
    graph, state, _ = start
    model = _learned.Learned(graph, state.params)
    test = prepared.split["test"]
    xs, present = features.pictures(test), features.present[test]
    queries = np.asarray(model.encode_sources(xs, present))
    gallery = np.asarray(model.encode_target(features.arrays["name"][test]))
    for z in (queries, gallery):
        np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
    some = present.at[:, 1].set(False)
    broken = [xs[0], xs[1] * np.nan, xs[2]]
    np.testing.assert_array_equal(
        model.encode_sources(broken, some), model.encode_sources(xs, some)
    )


@pytest.mark.parametrize("fusion", ["gated", "weighted_sum"])
def test_fusion_weights_are_shares_of_the_present(tiny, prepared, features, fusion):
    config = dataclasses.replace(tiny.learned, fusion=fusion)
    model = _learned.build(config, (12, 12, 12, 12), jax.random.key(0))
    learned = _learned.Learned(*nnx.split(model))
    shares = np.asarray(learned.fusion_weights(features.pictures(), features.present))
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert (shares[~prepared.present] == 0).all()


def test_trial_rows_are_the_grid_as_written(tiny):
    search = dataclasses.replace(tiny.sweep, temperatures=(0.1, 0.2))
    grid = training.hyperparameter_grid(
        learning_rate=search.learning_rates,
        weight_decay=search.weight_decays,
        temperature=search.temperatures,
    )
    scores = np.array([0.1, 0.4, 0.3, 0.2])
    rows = list(_learned._trial_rows(search, scores, 1))
    for name, column in grid.items():
        np.testing.assert_allclose([row[name] for row in rows], column, rtol=1e-6)
    assert [row["score"] for row in rows] == scores.tolist()
    trial = _learned.Trial(tuple(rows))
    assert trial.best == {"learning_rate": 1e-6, "weight_decay": 0.1, "temperature": 0.2}


def test_learning_rate_falls_to_zero():
    rates = [float(_learned.learning_rate(2.0, step, 10)) for step in range(11)]
    assert rates[0] == 2.0
    assert rates == sorted(rates, reverse=True)
    np.testing.assert_allclose(rates[5], 1.0, rtol=1e-6)
    assert rates[10] == 0.0
