"""Closed-form transforms: the fit and the application."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import references
from benchmarks.case import FORWARD, FORWARD_BACKWARD, Case, with_gradient
from crossmodal_jax import transforms

L2 = 1e-2
SHOWN = 64


def cases(*, quick: bool) -> list[Case]:
    """Ridge, CCA and PCA on rows of decaying variance, as features have it."""
    n, dx, dy, dim = (4096, 256, 128, 32) if quick else (65536, 512, 256, 64)
    ridge = transforms.ridge(l2=L2)
    gram, cross, other = (dx, n, dx), (dx, n, dy), (dy, n, dy)
    fit = functools.partial(_fit, sizes=(n, dx, dy))
    found = [fit("ridge.fit", "xla", ridge, references.ridge_fit(L2), gemms=[gram, cross])]
    for solver in ("exact", "subspace"):
        cca = transforms.cca(dim=dim, l2=L2, solver=solver)
        pca = transforms.pca(dim=dim, solver=solver)
        found += [
            fit("cca.fit", solver, cca, references.cca_fit(L2, dim), gemms=[gram, cross, other]),
            fit("pca.fit", solver, pca, references.pca_fit(dim), gemms=[gram]),
        ]
    return [
        *found,
        _apply(n, dx, dy, ridge, FORWARD),
        _apply(n, dx, dy, ridge, FORWARD_BACKWARD),
    ]


def _fit(
    op: str,
    implementation: str,
    transform: transforms.Transform,
    reference: Callable[..., Any],
    *,
    sizes: tuple[int, int, int],
    gemms: list[tuple[int, int, int]],
) -> Case:
    n, dx, dy = sizes
    paired = op != "pca.fit"

    def fit(x: Any, y: Any) -> Any:
        # Directions have no sign: what the fit does to some rows is compared instead of them.
        if paired:
            return transform.apply(transform.fit(x, y), x[:SHOWN])
        params = transform.fit(x)
        return transform.inverse(params, transform.apply(params, x[:SHOWN]))

    return Case(
        suite="transforms",
        op=op,
        spec=f"float32 n={n} dx={dx}" + (f" dy={dy}" if paired else ""),
        implementation=implementation,
        mode=FORWARD,
        function=fit if paired else lambda x: fit(x, None),
        make_inputs=functools.partial(_rows, n, dx, dy if paired else None),
        reference=lambda x, *y: reference(x, *y, x[:SHOWN]),
        # The moments; the decompositions of d x d matrices are not counted.
        flops=sum(2.0 * m * k * n for m, k, n in gemms),
        gemms=gemms,
        rows=n,
    )


def _apply(n: int, dx: int, dy: int, ridge: transforms.Transform, mode: str) -> Case:
    backward = mode == FORWARD_BACKWARD

    def make_inputs() -> tuple[Any, ...]:
        rng = np.random.default_rng(1)
        (x,) = _rows(n, dx, None)
        params = transforms.Ridge(
            mean=rng.standard_normal(dx, np.float32),
            kernel=rng.standard_normal((dx, dy), np.float32) / np.float32(dx) ** 0.5,
            offset=rng.standard_normal(dy, np.float32),
            residual=np.eye(dy, dtype=np.float32),
        )
        cotangent = rng.standard_normal((n, dy), np.float32)
        return (cotangent, x, params) if backward else (x, params)

    def apply(x: Any, params: Any) -> Any:
        return ridge.apply(params, x)

    reference = references.ridge_apply
    return Case(
        suite="transforms",
        op="ridge.apply",
        spec=f"float32 n={n} dx={dx} dy={dy}",
        implementation="xla",
        mode=mode,
        function=with_gradient(apply, 1) if backward else apply,
        make_inputs=make_inputs,
        reference=reference if backward else references.forward(reference),
        # The parameters are given, so only the gradient of x is a product.
        flops=2.0 * n * dx * dy * (2 if backward else 1),
        gemms=[(n, dx, dy)],
        rows=n,
    )


def _rows(n: int, dx: int, dy: int | None) -> tuple[Any, ...]:
    """Rows x, and rows y that depend on x the less the further the column."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, dx), np.float32) / (1 + np.arange(dx, dtype=np.float32) / 16)
    if dy is None:
        return (x,)
    decay = 1 / (1 + np.arange(dy, dtype=np.float32) / 4)
    return x, x[:, :dy] * decay + rng.standard_normal((n, dy), np.float32)
