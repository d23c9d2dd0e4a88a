"""Losses, with gradients as in training."""

import functools
from typing import Any

import numpy as np

from benchmarks import references
from benchmarks.case import FORWARD, FORWARD_BACKWARD, Case, with_gradient
from crossmodal_jax import losses

LOGIT_SCALE = 30.0


def cases(*, quick: bool) -> list[Case]:
    """The contrastive loss in two precisions, and the cross-entropy of a classifier."""
    n, d = (1000, 512) if quick else (4000, 512)
    rows, classes = (4096, 150) if quick else (32768, 1000)
    modes = (FORWARD, FORWARD_BACKWARD)
    found = [_clip(dtype, n, d, mode) for dtype in ("float32", "bfloat16") for mode in modes]
    return found + [_cross_entropy(rows, classes, mode) for mode in modes]


def _clip(dtype: str, n: int, d: int, mode: str) -> Case:
    backward = mode == FORWARD_BACKWARD
    function = functools.partial(losses.clip_loss, logit_scale=LOGIT_SCALE)
    reference = functools.partial(references.clip_loss, logit_scale=LOGIT_SCALE)

    def make_inputs() -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        x, noise = rng.standard_normal((2, n, d), np.float32)
        x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, x + 2 * noise))
        # The mean over the pairs, as one trains on it.
        return (np.full(n, 1 / n, np.float32), x, y) if backward else (x, y)

    def both(cotangent: Any, x: Any, y: Any) -> Any:
        # The loss is float32 whatever the embeddings are.
        return with_gradient(function, 2)(cotangent.astype(np.float32), x, y)

    return Case(
        suite="losses",
        op="clip_loss",
        spec=f"{dtype} n={n} d={d}",
        implementation="xla",
        mode=mode,
        function=both if backward else function,
        make_inputs=make_inputs,
        reference=reference if backward else references.forward(reference),
        dtype=dtype,
        flops=2.0 * n * n * d * (3 if backward else 1),
        gemms=[(n, d, n), (n, n, d)],
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
