"""A training step of a fusion head: weighted sum, linear classifier, momentum."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import references
from benchmarks.case import FORWARD_BACKWARD, Case
from crossmodal_jax import fusion, losses, training

NUM_MODALITIES = 3
LEARNING_RATE = 0.1
MOMENTUM = 0.9


def cases(*, quick: bool) -> list[Case]:
    """Steps that return to Python one by one, and the same steps in one dispatch."""
    batch, dim, classes, num_steps = (256, 128, 50, 16) if quick else (1024, 512, 100, 64)
    case = functools.partial(_case, batch, dim, classes)
    return [case("single", 1), case("scan", num_steps)]


def _case(batch: int, dim: int, classes: int, implementation: str, num_steps: int) -> Case:
    tx = optax.sgd(LEARNING_RATE, momentum=MOMENTUM)
    step = training.make_train_step(_loss, tx)

    def run(params: Any, batches: Any) -> Any:
        state = training.init_state(params, tx, jax.random.key(0))
        if num_steps == 1:
            state, metrics = step(state, jax.tree.map(lambda x: x[0], batches))
            return state.params, metrics["loss"][None]
        state, metrics = jax.lax.scan(step, state, batches)
        return state.params, metrics["loss"]

    # Forward and gradients of the weights; only the head passes a gradient on to its input.
    flops_per_sample = 4.0 * NUM_MODALITIES * dim * dim + 6.0 * dim * classes
    return Case(
        suite="training",
        op="train_step",
        spec=f"float32 b={batch} d={NUM_MODALITIES}x{dim} classes={classes} steps={num_steps}",
        implementation=implementation,
        mode=FORWARD_BACKWARD,
        function=run,
        make_inputs=functools.partial(_inputs, num_steps, batch, dim, classes),
        reference=_reference,
        flops=flops_per_sample * batch * num_steps,
        gemms=[(batch, dim, dim), (dim, batch, dim)],
        rows=batch * num_steps,
    )


def _loss(params: Any, batch: Any, key: Any) -> tuple[Any, dict[str, Any]]:
    del key  # nothing is random
    xs, present, labels = batch
    fused = fusion.weighted_sum(xs, params["fusion"], present=present)
    return jnp.mean(losses.softmax_cross_entropy(fused @ params["head"], labels)), {}


def _inputs(num_steps: int, batch: int, dim: int, classes: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    weights = fusion.init_weighted_sum(jax.random.key(0), (dim,) * NUM_MODALITIES, dim)
    head = rng.standard_normal((dim, classes), np.float32) / np.float32(dim) ** 0.5
    params = {"fusion": jax.tree.map(np.asarray, weights), "head": head}
    shape = (num_steps, batch)
    xs = tuple(rng.standard_normal((*shape, dim), np.float32) for _ in range(NUM_MODALITIES))
    present = rng.uniform(size=(*shape, NUM_MODALITIES)) < 0.8
    labels = rng.integers(0, classes, shape, np.int32)
    return params, (xs, present, labels)


def _reference(params: Any, batches: Any) -> Any:
    """The run in NumPy float64, gradients by hand."""
    velocity = jax.tree.map(np.zeros_like, params)
    losses_seen = []
    for i in range(len(batches[1])):
        xs, present, labels = jax.tree.map(lambda x, i=i: x[i], batches)
        loss, grads = _reference_gradient(params, xs, present, labels)
        velocity = _tree(lambda v, g: MOMENTUM * v + g, velocity, grads)
        params = _tree(lambda p, v: p - LEARNING_RATE * v, params, velocity)
        losses_seen.append(loss)
    return params, np.array(losses_seen)


def _reference_gradient(params: Any, xs: Any, present: Any, labels: Any) -> tuple[float, Any]:
    fused = references.forward(references.weighted_sum)(xs, params["fusion"], present)
    share = np.full(len(labels), 1 / len(labels))
    loss, (d_logits,) = references.softmax_cross_entropy(share, fused @ params["head"], labels)
    d_fused = d_logits @ params["head"].T
    _, (_, d_fusion) = references.weighted_sum(d_fused, xs, params["fusion"], present)
    return loss.mean(), {"fusion": d_fusion, "head": fused.T @ d_logits}


def _tree(function: Callable[..., Any], *trees: Any) -> Any:
    return jax.tree.map(function, *trees)
