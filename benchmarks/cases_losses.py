"""Losses, with gradients as in training."""

import itertools
from typing import Any

import numpy as np

from benchmarks import references
from benchmarks.case import FORWARD, FORWARD_BACKWARD, Case, with_gradient
from crossmodal_jax import losses

LOGIT_SCALE = 30.0


def cases(*, quick: bool) -> list[Case]:
    """Contrastive losses in two precisions and two ways, and the cross-entropy of a classifier."""
    n, d = (2000, 512) if quick else (8192, 512)
    rows, classes = (4096, 150) if quick else (32768, 1000)
    modes = (FORWARD, FORWARD_BACKWARD)
    ops = ("clip_loss", "siglip_loss")
    ways = itertools.product(ops, ("float32", "bfloat16"), ("xla", "streamed"), modes)
    found = [_contrastive(*way, n=n, d=d) for way in ways]
    return found + [_cross_entropy(rows, classes, mode) for mode in modes]


def _contrastive(op: str, dtype: str, implementation: str, mode: str, *, n: int, d: int) -> Case:
    backward = mode == FORWARD_BACKWARD

    def function(x: Any, y: Any, scale: Any) -> Any:
        loss = getattr(losses, op)
        return loss(x, y, logit_scale=scale, implementation=implementation)

    def make_inputs() -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        x, noise = rng.standard_normal((2, n, d), np.float32)
        x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, x + 2 * noise))
        # The mean over the pairs, as one trains on it, with a learned scale.
        inputs = x, y, np.float32(LOGIT_SCALE)
        return (np.full(n, 1 / n, np.float32), *inputs) if backward else inputs

    def both(cotangent: Any, *inputs: Any) -> Any:
        # The loss is float32 whatever the embeddings are.
        return with_gradient(function, 3)(cotangent.astype(np.float32), *inputs)

    reference = getattr(references, op)
    # Two products have the gradients. A softmax needs the logits before its slopes, so that
    # without a place for all of them they are made twice.
    twice = op == "clip_loss" and implementation == "streamed"
    products = 1 if not backward else 4 if twice else 3
    return Case(
        suite="losses",
        op=op,
        spec=f"{dtype} n={n} d={d}",
        implementation=implementation,
        mode=mode,
        function=both if backward else function,
        make_inputs=make_inputs,
        reference=reference if backward else references.forward(reference),
        dtype=dtype,
        flops=2.0 * n * n * d * products,
        gemms=[(n, d, n), (n, n, d), (256, d, n), (512, d, n)],
        rows=n,
    )


def _cross_entropy(rows: int, classes: int, mode: str) -> Case:
    backward = mode == FORWARD_BACKWARD

    def make_inputs() -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        logits = 5 * rng.standard_normal((rows, classes), np.float32)
        labels = rng.integers(0, classes, rows, np.int32)
        cotangent = np.full(rows, 1 / rows, np.float32)
        return (cotangent, logits, labels) if backward else (logits, labels)

    return Case(
        suite="losses",
        op="softmax_cross_entropy",
        spec=f"float32 n={rows} classes={classes}",
        implementation="xla",
        mode=mode,
        function=with_gradient(losses.softmax_cross_entropy, 1)
        if backward
        else losses.softmax_cross_entropy,
        make_inputs=make_inputs,
        reference=references.softmax_cross_entropy
        if backward
        else references.forward(references.softmax_cross_entropy),
        rows=rows,
    )
