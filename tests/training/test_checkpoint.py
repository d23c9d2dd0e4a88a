"""Checkpoints: what comes back is what was saved, or an error that names the file."""

import contextlib
import json
import os
import random
import shutil
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from crossmodal_jax.training import (
    CheckpointError,
    _manifest,
    checkpoint_metadata,
    init_state,
    latest_checkpoint,
    restore_checkpoint,
    save_checkpoint,
)


class Pair(NamedTuple):
    first: object
    second: object


TREE = {
    "state": init_state(
        {"w": jnp.arange(6.0).reshape(2, 3), "half": jnp.ones(2, jnp.bfloat16)},
        optax.adamw(optax.cosine_decay_schedule(0.1, 9)),
        jax.random.key(3),
    ),
    "keys": jax.random.split(jax.random.key(1, impl="rbg"), 2),
    "numpy": np.arange(4),
    "numbers": Pair(7, 0.25),
    "empty": Pair(jnp.zeros((0, 3)), None),
    "flag": np.bool_(True),
}


def raw(leaf):
    is_key = jnp.issubdtype(getattr(leaf, "dtype", None), jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def assert_same(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert isinstance(x, jax.Array) == isinstance(y, jax.Array)
        assert getattr(x, "dtype", type(x)) == getattr(y, "dtype", type(y))
        np.testing.assert_array_equal(raw(x), raw(y))


def files_of(folder):
    return sorted(f for f in Path(folder).rglob("*") if f.is_file())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("saved") / "step_4", TREE, metadata={"a": [1]})


@pytest.fixture
def copy(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "copy_4"))


def test_round_trip(saved):
    restored = restore_checkpoint(saved, TREE)
    assert_same(restored, TREE)
    assert checkpoint_metadata(saved) == {"a": [1]}
    draw = lambda key: float(jax.random.uniform(key))  # restored keys draw the same numbers
    assert draw(restored["state"].key) == draw(TREE["state"].key)
    assert draw(restored["keys"][1]) == draw(TREE["keys"][1])


def test_like_may_be_shapes(tmp_path):
    tree = {"w": jnp.ones((2, 2)), "key": jax.random.key(1)}
    path = save_checkpoint(tmp_path / "a", tree)
    assert_same(restore_checkpoint(path, jax.eval_shape(lambda: tree)), tree)


def test_layout_of_like_is_kept(tmp_path):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    layout = jax.NamedSharding(mesh, jax.P("data"))
    tree = jax.device_put(jnp.arange(16.0), layout)
    restored = restore_checkpoint(save_checkpoint(tmp_path / "a", tree), tree)
    assert restored.sharding == layout
    np.testing.assert_array_equal(restored, np.arange(16.0))


@pytest.mark.parametrize("tree", [{}, {"nothing": jnp.zeros(0)}])
def test_nothing_to_store(tree, tmp_path):
    assert_same(restore_checkpoint(save_checkpoint(tmp_path / "a", tree), tree), tree)


def test_random_mutations_are_never_silent(copy):
    generator = random.Random(0)
    files = files_of(copy)
    assert len(files) > 8
    for trial in range(200):
        file = files[trial % len(files)]
        original = file.read_bytes()
        data = bytearray(original)
        kind = generator.choice(["flip", "cut", "insert"]) if data else "insert"
        at = generator.randrange(max(len(data), 1))
        if kind == "flip":
            data[at] ^= 1 << generator.randrange(8)
        elif kind == "cut":
            del data[at:]
        else:
            data.insert(at, generator.randrange(256))
        file.write_bytes(bytes(data))
        with pytest.raises(CheckpointError) as caught:
            restore_checkpoint(copy, TREE)
        blamed = "manifest.json" if file.name == "manifest.sha256" else file.name
        assert blamed in str(caught.value)
        file.write_bytes(original)
    assert_same(restore_checkpoint(copy, TREE), TREE)


def test_missing_and_foreign_files(copy):
    for file in files_of(copy):
        hidden = copy.parent / "hidden"
        file.rename(hidden)
        with pytest.raises(CheckpointError, match=file.name):
            restore_checkpoint(copy, TREE)
        hidden.rename(file)
    foreign = copy / "arrays" / "d" / "stranger"
    foreign.write_bytes(b"x")
    with pytest.raises(CheckpointError, match="stranger is damaged: the manifest does not list"):
        restore_checkpoint(copy, TREE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"numpy": np.arange(5)}, r"int64\[4\] at \['numpy'\] saved, int64\[5\]"),
        ({"numpy": np.arange(4.0)}, r"float64\[4\] at \['numpy'\] in `like`"),
        ({"keys": jax.random.split(jax.random.key(1), 2)}, r"key<rbg>\[2\] .* key<fry>\[2\]"),
        ({"zzz": np.arange(4)}, r"no further leaf saved, int64\[4\] at \['zzz'\]"),
    ],
)
def test_wrong_like_names_the_leaf(saved, change, words):
    with pytest.raises(CheckpointError, match=words):
        restore_checkpoint(saved, {**TREE, **change})


def test_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is none at .*nowhere"):
        restore_checkpoint(tmp_path / "nowhere", TREE)


class KilledError(BaseException):
    """Stands for the end of the process: nothing after it runs."""


def save_and_die(monkeypatch, path, tree, *, after, clean_up):
    """A save that dies after so many calls that reach the disk; returns how many it made."""
    calls = []

    def dying(real):
        def call(*args, **kwargs):
            if len(calls) >= after:
                raise KilledError
            calls.append(1)
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for owner, name in [(os, "fsync"), (Path, "rename"), (Path, "mkdir")]:
            patch.setattr(owner, name, dying(getattr(owner, name)))
        if not clean_up:
            patch.setattr(shutil, "rmtree", dying(shutil.rmtree))
        with contextlib.suppress(KilledError):
            save_checkpoint(path, tree)
    return len(calls)


@pytest.mark.parametrize("clean_up", [True, False], ids=["interrupt", "kill"])
def test_interrupted_save_leaves_a_whole_checkpoint(tmp_path, monkeypatch, clean_up):
    old, new = {"w": jnp.zeros(3)}, {"w": jnp.ones(3)}
    path = save_checkpoint(tmp_path / "step_1", old)
    total = save_and_die(monkeypatch, path, old, after=1000, clean_up=clean_up)
    survived = []
    # The exchange of the folders is in the last calls; try each of those.
    for after in [*range(0, total - 7, 5), *range(total - 7, total + 1)]:
        save_checkpoint(path, old)  # finds its way whatever the last round left
        assert [f.name for f in tmp_path.iterdir()] == ["step_1"]
        save_and_die(monkeypatch, path, new, after=after, clean_up=clean_up)
        assert latest_checkpoint(tmp_path) == path
        survived.append(float(restore_checkpoint(path, old)["w"][0]))
    assert survived == sorted(survived)
    assert set(survived) == {0.0, 1.0}


def test_errors_of_the_disk_name_the_path(tmp_path, monkeypatch):
    path = save_checkpoint(tmp_path / "step_1", {"w": jnp.zeros(3)})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*step_1: .*No space left"):
        save_checkpoint(path, {"w": jnp.ones(3)})
    assert [f.name for f in tmp_path.iterdir()] == ["step_1"]


def test_other_folders_are_not_overwritten(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"cat")
    with pytest.raises(CheckpointError, match="photos exists and is no checkpoint"):
        save_checkpoint(tmp_path / "photos", TREE)
    assert (tmp_path / "photos" / "cat.png").read_bytes() == b"cat"


@pytest.mark.parametrize(
    ("tree", "metadata", "words"),
    [
        ({"name": "A"}, None, r"got str of dtype <U1 at \['name'\]; put text"),
        ({}, {"a": np.ones(2)}, "`metadata` must be what JSON can hold"),
        ({}, {"a": float("nan")}, "`metadata` must be what JSON can hold"),
    ],
)
def test_what_cannot_be_saved(tree, metadata, words, tmp_path):
    with pytest.raises(TypeError, match=words):
        save_checkpoint(tmp_path / "a", tree, metadata=metadata)
    assert list(tmp_path.iterdir()) == []


def test_latest_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path / "nowhere") is None
    assert latest_checkpoint(tmp_path) is None
    for name in ("step_9", "step_10", "best"):
        save_checkpoint(tmp_path / name, jnp.ones(1))
    (tmp_path / "step_99").mkdir()  # no manifest: not a checkpoint
    (tmp_path / ".step_98.tmp").mkdir()
    assert latest_checkpoint(tmp_path) == tmp_path / "step_10"


def test_manifest_is_readable(saved):
    contents = json.loads((saved / "manifest.json").read_text())
    assert contents["metadata"] == {"a": [1]}
    assert {"path": "['numpy']", "shape": [4], "dtype": "int64"} in contents["leaves"]
    listed = {saved / name for name in contents["files"]}
    assert listed == {f for f in files_of(saved) if f.parent != saved}
    assert _manifest.verify(saved) == contents
