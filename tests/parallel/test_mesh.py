"""Eight devices against one: the layout changes where numbers live, not what they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from crossmodal_jax.parallel import batch_sharding, data_mesh, replicate, shard_batch

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def mesh():
    assert jax.device_count() == 8
    return data_mesh()


def make_batch(n=32):
    return {
        "picture": RNG.normal(size=(n, 12)).astype(np.float32),
        "name": RNG.normal(size=(n, 7)).astype(np.float32),
        "present": {"picture": RNG.random(n) < 0.8},
    }


def contrastive(params, batch):
    """A loss that couples all rows, so that no device can work alone."""
    x = jnp.where(batch["present"]["picture"][:, None], batch["picture"], 0) @ params["x"]
    y = batch["name"] @ params["y"]
    logits = x @ y.T
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - jnp.diag(logits))


def make_params():
    return {
        "x": RNG.normal(size=(12, 5)).astype(np.float32) / 3,
        "y": RNG.normal(size=(7, 5)).astype(np.float32) / 3,
    }


def test_eight_devices_equal_one(mesh):
    batch, params = make_batch(), make_params()
    step = jax.jit(jax.value_and_grad(contrastive))
    one = step(params, batch)
    sharded = shard_batch(batch, mesh)
    eight = step(replicate(params, mesh), sharded)
    assert len(sharded["picture"].addressable_shards) == 8
    assert sharded["picture"].addressable_shards[0].data.shape == (4, 12)
    for got, expected in zip(jax.tree.leaves(eight), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
        assert got.sharding.is_fully_replicated


def test_plain_code_runs_on_row_sharded_arrays(mesh):
    """x @ y.T of two row-sharded arrays: an error on a mesh with Explicit axes."""
    x = shard_batch(make_batch()["name"], mesh)
    np.testing.assert_allclose(x @ x.T, np.asarray(x) @ np.asarray(x).T, rtol=1e-5, atol=1e-6)


def test_layouts_and_round_trip(mesh):
    batch = make_batch(16)
    sharded = shard_batch(batch, mesh)
    assert all(leaf.sharding == batch_sharding(mesh) for leaf in jax.tree.leaves(sharded))
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(sharded), batch)
    keys = replicate({"key": jax.random.key(0)}, mesh)
    assert keys["key"].sharding.spec == PartitionSpec()
    assert float(jax.random.uniform(keys["key"])) == float(jax.random.uniform(jax.random.key(0)))


def test_some_of_the_devices():
    mesh = data_mesh(jax.devices()[2:5])
    assert (mesh.size, mesh.axis_names) == (3, ("data",))
    assert shard_batch(np.ones((6, 2)), mesh).sharding.device_set == set(jax.devices()[2:5])


def test_uneven_rows_name_every_modality(mesh):
    batch = {"picture": np.ones((12, 2)), "name": np.ones((16, 2)), "present": {"a": np.ones(3)}}
    with pytest.raises(ValueError, match="over 8 devices") as caught:
        shard_batch(batch, mesh)
    text = str(caught.value)
    assert "{'picture': (12, 2), 'present/a': (3,)}" in text
    assert "a batch size that is a multiple of 8" in text


def test_scalars_have_no_rows(mesh):
    with pytest.raises(ValueError, match=r"'scale': \(\)"):
        shard_batch({"scale": np.float32(1)}, mesh)


def test_meshes_that_cannot_be():
    with pytest.raises(ValueError, match="at least one device"):
        data_mesh([])
    with pytest.raises(ValueError, match=r"must have an axis 'data', got axes \('model',\)"):
        batch_sharding(jax.make_mesh((8,), ("model",)))
