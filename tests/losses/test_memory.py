"""Memory of the value and the gradient of every streamed loss, as the compiler states it."""

import jax
import jax.numpy as jnp
import pytest

from crossmodal_jax import losses

_NUM, _WIDTH = 16_384, 256
_SIDE = ((_NUM, _WIDTH), jnp.float32)
_HALF = ((_NUM // 2, _WIDTH), jnp.float32)
_LABELS = ((_NUM,), jnp.int32)


def _supcon(x, labels, **options):
    return losses.supcon_loss(x, labels=labels, **options)


def _supcon_of_two(x, y, labels, **options):
    return losses.supcon_loss(x, y, labels=labels, **options)


def _supcon_of_positives(x, positives, **options):
    return losses.supcon_loss(x, positives=positives, **options)


# What is learned of each, and the shapes of its arrays.
LOSSES = {
    "clip_loss": (losses.clip_loss, (_SIDE, _SIDE), (0, 1)),
    "siglip_loss": (losses.siglip_loss, (_SIDE, _SIDE), (0, 1)),
    "supcon_loss": (_supcon, (_SIDE, _LABELS), (0,)),
    "supcon_loss/positives": (_supcon_of_positives, (_SIDE, ((_NUM, _NUM), jnp.bool_)), (0,)),
    "supcon_loss/two sets": (_supcon_of_two, (_SIDE, _SIDE, _LABELS), (0, 1)),
    "ntxent_loss": (losses.ntxent_loss, (_HALF, _HALF), (0, 1)),  # which are all compared
    "hard_negative_loss": (losses.hard_negative_loss, (_SIDE, _SIDE), (0, 1)),
    "token_cross_entropy": (losses.token_cross_entropy, (_SIDE, _SIDE, _LABELS), (0, 1)),
}


@pytest.mark.parametrize(
    ("loss", "num_sides"), [(losses.hsic_loss, 2), (losses.uniformity_loss, 1)]
)
def test_memory_of_dependence_and_uniformity_is_linear(loss, num_sides):
    sides = [jax.ShapeDtypeStruct(*_SIDE)] * num_sides
    run = jax.jit(jax.value_and_grad(loss, tuple(range(num_sides))))
    assert run.lower(*sides).compile().memory_analysis().temp_size_in_bytes <= 64 * 2**20


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", LOSSES)
def test_memory_is_linear(name, precision):
    function, shapes, learned = LOSSES[name]

    def mean(scale, *arrays):
        options = {"precision": precision, "implementation": "streamed"}
        return jnp.mean(function(*arrays, logit_scale=scale, **options))

    run = jax.jit(jax.value_and_grad(mean, (0, *(i + 1 for i in learned))))
    inputs = [jax.ShapeDtypeStruct(*shape) for shape in (((), jnp.float32), *shapes)]
    stats = run.lower(*inputs).compile().memory_analysis()
    # All logits would take 1,024 MiB.
    assert stats.temp_size_in_bytes <= 64 * 2**20
