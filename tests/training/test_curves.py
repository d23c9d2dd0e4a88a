"""Training with streamed losses on real data takes the course of training with plain ones."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from crossmodal_jax import data, features, losses, numerics

_FOLDER = Path(os.environ.get("CROSSMODAL_JAX_DATA", Path(__file__).parents[3] / "shared/data"))
_DIM, _NUM_STEPS, _BATCH = 32, 60, 256


def _glyphs():
    """Pictures of characters, and their names."""
    glyphs = data.glyphs()
    names = features.hashed_ngrams(glyphs.modalities["name"], dim=256)
    return np.reshape(glyphs.modalities["sans"], (len(glyphs), -1)), names


def _words():
    """Pictures of things, and their words."""
    path = _FOLDER / "words" / "words.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there; set CROSSMODAL_JAX_DATA")
    with np.load(path, allow_pickle=False) as table:
        return table["image_feat"].astype(np.float32), features.hashed_ngrams(
            table["word"], dim=256
        )


def _curve(loss_fn, x, y, labels, implementation):
    """The loss before each step of Adam on two linear towers and a scale."""
    keys = jax.random.split(jax.random.key(0), 3)
    init = jax.nn.initializers.lecun_normal()
    params = {
        "x": init(keys[0], (x.shape[1], _DIM)),
        "y": init(keys[1], (y.shape[1], _DIM)),
        "scale": jnp.log(10.0),
    }
    tx = optax.adam(1e-2)

    def mean(params, rows):
        u, v = (numerics.normalize(z[rows] @ params[k]) for k, z in (("x", x), ("y", y)))
        options = {"logit_scale": jnp.exp(params["scale"]), "implementation": implementation}
        return jnp.mean(loss_fn(u, v, labels[rows], **options))

    def step(state, key):
        params, opt_state = state
        rows = jax.random.choice(key, x.shape[0], (_BATCH,), replace=False)
        value, gradient = jax.value_and_grad(mean)(params, rows)
        updates, opt_state = tx.update(gradient, opt_state)
        return (optax.apply_updates(params, updates), opt_state), value

    steps = jax.random.split(keys[2], _NUM_STEPS)
    return jax.lax.scan(step, (params, tx.init(params)), steps)[1]


def _clip(x, y, labels, **options):
    return losses.clip_loss(x, y, **options)


def _siglip(x, y, labels, **options):
    return losses.siglip_loss(x, y, **options)


def _supcon(x, y, labels, **options):
    return losses.supcon_loss(x, y, labels=labels, **options)


@pytest.mark.parametrize("load", [_glyphs, _words])
def test_streamed_losses_train_as_plain_ones_do(load):
    x, y = (jnp.asarray(z, jnp.float32) for z in load())
    x = (x - x.mean(0)) / jnp.maximum(x.std(0), 1e-3)
    labels = jnp.arange(len(x)) // 3

    @jax.jit
    def curves(x, y):
        return [
            [_curve(loss, x, y, labels, way) for way in ("xla", "streamed")]
            for loss in (_clip, _siglip, _supcon)
        ]

    for plain, streamed in curves(x, y):
        assert plain[-1] < 0.9 * plain[0]
        np.testing.assert_allclose(streamed, plain, rtol=1e-4)
