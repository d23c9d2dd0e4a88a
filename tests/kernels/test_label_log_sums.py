"""Log-sums with the sums of the logits of one label, and pairs that are not compared."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pairs
import pytest
from scipy.special import logsumexp

from crossmodal_jax import kernels
from crossmodal_jax.kernels.pair_sums import _api, _log_sums_streamed, _xla
from crossmodal_jax.kernels.pair_sums._sides import Sums


def oracle(x, y, scale, masks, labels, exclude, slopes):
    """Values, and gradients by x, y and the scale, in float64 from the formulas."""
    compared = masks[0][:, None] & masks[1] & (np.arange(len(y)) != exclude[:, None])
    same = compared & same_label(labels)
    scores = x @ y.T
    z = np.where(compared, scale * scores, -np.inf)
    with np.errstate(invalid="ignore"):
        rows, columns = logsumexp(z, axis=1), logsumexp(z, axis=0)
        share = slopes.rows[:, None] * np.exp(z - rows[:, None])
        share = np.nan_to_num(share) + np.nan_to_num(slopes.columns * np.exp(z - columns))
    matching = np.where(same, scale * scores, 0)
    mine = np.where(same, slopes.row_matches[:, None] + slopes.column_matches, 0)
    values = [np.where(np.isfinite(v), v, 0) for v in (rows, columns)]
    values += [matching.sum(1), matching.sum(0)]
    results = []
    for g, a, b in ((share + mine, x, y), (np.abs(share) + np.abs(mine), np.abs(x), np.abs(y))):
        results.append((scale * g @ b, scale * g.T @ a, np.sum(g * (a @ b.T))))
    return values, *results


def same_label(labels):
    """Of the labels of both sides, or of a matrix of matches and the row of it of each x."""
    rows, columns = labels
    return columns[rows] if columns.ndim == 2 else rows[:, None] == columns


def case(n, m, seed=0):
    x, y, masks, rng = pairs.case(min(n, m), max(n, m), seed)
    x, y = (x, y) if n <= m else (y, x)
    masks = masks if n <= m else masks[::-1]
    labels = rng.integers(-2, 3, n), rng.integers(-1, 4, m)
    exclude = np.where(rng.uniform(size=n) < 0.7, rng.integers(0, m, n), -1)
    slopes = Sums(*(rng.normal(size=k) for k in (n, m, n, m)))
    return x, y, masks, labels, exclude, slopes


@functools.partial(jax.jit, static_argnames=("implementation", "block"))
def run(x, y, scale, masks, labels, exclude, slopes, implementation, block=16):
    streamed = functools.partial(_log_sums_streamed.log_sums, block=block)
    run = {"xla": _xla.log_sums, "streamed": streamed}[implementation]

    def sums(x, y, scale):
        sides = _api._sides("test", x, y, affine=(scale, 0.0), masks=masks, exclude=exclude)
        return run(sides._replace(labels=labels), precision=x.dtype)

    values, pull = jax.vjp(sums, x, y, scale)
    return values, pull(jax.tree.map(lambda a, b: a.astype(b.dtype), slopes, values))


@pytest.mark.parametrize("implementation", ["streamed", "xla"])
@pytest.mark.parametrize(
    ("n", "m", "block"),
    [
        (7, 5, 4),
        (129, 130, 32),
        *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in pairs.SIZES),
    ],
)
@pytest.mark.parametrize("kind", ["labels", "positives"])
def test_values_and_gradients_are_those_of_numpy(n, m, block, implementation, kind):
    x, y, some, labels, exclude, slopes = case(n, m)
    if kind == "positives":
        labels = np.arange(n), np.random.default_rng(n).uniform(size=(n, m)) < 0.3
    every = np.ones(n, bool), np.ones(m, bool)
    for dtype in ("float32", "bfloat16"):
        inputs, given = pairs.inputs(x, y, dtype)
        for scale in (0.0, 1.0, 30.0, 100.0):
            for masks in (every, some):
                rest = masks, labels, exclude, slopes
                got = run(*inputs, np.float32(scale), *rest, implementation, block)
                expected = oracle(*given, scale, *rest)
                exact = 1e-6 * (1 + scale)
                pairs.assert_close(got, expected, exact, exact if dtype == "float32" else 2**-7)


@pytest.mark.parametrize("implementation", ["streamed", "xla"])
def test_float64_is_exact(implementation, x64):
    x, y, *rest = case(40, 33, seed=1)
    for scale in (10.0, 300.0):  # below and beyond what needs no maxima
        got = run(x, y, scale, *rest, implementation)
        pairs.assert_close(got, oracle(x, y, scale, *rest), 1e-12 * scale)


def test_labels_of_their_own_are_one_match_each(x64):
    x, y, masks, _, exclude, _ = case(20, 30, seed=2)
    exclude = np.where(exclude == np.arange(20), -1, exclude)
    options = {"where": masks[0], "where_y": masks[1], "exclude": exclude, "scale": 3.0}
    labels = {"labels": np.arange(20), "labels_y": np.arange(30)}
    by_label = kernels.label_log_sums(x, y, **labels, **options)
    one = kernels.log_sums(x, y, **options)
    for a, b in zip(by_label[:4], (*one, np.pad(one.matches, (0, 10))), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", ["labels", "positives"])
def test_counts_are_those_of_the_matches(kind, x64):
    x, y, masks, labels, exclude, _ = case(40, 30, seed=4)
    labels = labels[0] % 2, labels[1] % 2
    same = masks[0] & masks[1][exclude] & (labels[0] == labels[1][exclude])
    assert np.count_nonzero(same & (exclude >= 0)) > 2  # else nothing is tested
    compared = masks[0][:, None] & masks[1] & (np.arange(30) != exclude[:, None])
    same = compared & (labels[0][:, None] == labels[1])
    options = {"where": masks[0], "where_y": masks[1], "exclude": exclude}
    given = {
        "labels": {"labels": labels[0], "labels_y": labels[1]},
        "positives": {"positives": labels[0][:, None] == labels[1]},
    }
    sums = kernels.label_log_sums(x, y, **given[kind], **options)
    np.testing.assert_array_equal(sums.row_counts, same.sum(1))
    np.testing.assert_array_equal(sums.column_counts, same.sum(0))


def test_what_is_excluded_is_in_no_sum(x64):
    x, y, masks, _, exclude, _ = case(20, 30, seed=3)
    options = {"where": masks[0], "where_y": masks[1], "exclude": exclude}
    compared = masks[0][:, None] & masks[1] & (np.arange(30) != exclude[:, None])
    expected = np.where(compared, np.logaddexp(0, x @ y.T), 0).sum(1)
    is_match = compared[np.arange(20), np.arange(20)]
    for implementation in ("streamed", "xla"):
        sums = kernels.softplus_sums(x, y, **options, implementation=implementation)
        np.testing.assert_allclose(sums.rows, expected, rtol=1e-13)
        np.testing.assert_array_equal(np.asarray(sums.matches) != 0, is_match)
        sums = kernels.log_sums(x, y, **options, implementation=implementation)
        np.testing.assert_array_equal(np.asarray(sums.matches) != 0, is_match)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_memory_is_linear(precision):
    def loss(x, labels, scale):
        sums = kernels.label_log_sums(
            x,
            x,
            labels=labels,
            labels_y=labels,
            exclude=jnp.arange(len(x)),
            scale=scale,
            precision=precision,
            implementation="streamed",
        )
        return jnp.mean(sums.rows - sums.row_matches)

    shapes = [
        jax.ShapeDtypeStruct(*s) for s in (((16_384, 256), jnp.float32), ((16_384,), jnp.int32))
    ]
    run = jax.jit(jax.value_and_grad(loss, (0, 2)))
    compiled = run.lower(*shapes, jax.ShapeDtypeStruct((), jnp.float32)).compile()
    assert compiled.memory_analysis().temp_size_in_bytes <= 64 * 2**20


def test_bad_arguments_are_named(no_jaxtyping):
    x = jnp.ones((3, 2))
    labels = jnp.arange(3)
    with pytest.raises(ValueError, match=r"label_log_sums: `labels` must be .* float32 \(3,\)"):
        kernels.label_log_sums(x, x, labels=jnp.ones(3), labels_y=labels)
    with pytest.raises(ValueError, match=r"`labels_y` must be one whole number .* \(2,\); pass"):
        kernels.label_log_sums(x, x, labels=labels, labels_y=labels[:2])
    with pytest.raises(ValueError, match=r"`positives` must be boolean .* = \(3, 3\), got int32"):
        kernels.label_log_sums(x, x, positives=jnp.ones((3, 3), int))
    with pytest.raises(ValueError, match=r"`positives` must stand alone, got labels or an axis_na"):
        kernels.label_log_sums(x, x, labels=labels, positives=jnp.ones((3, 3), bool))
    with pytest.raises(ValueError, match=r"both `labels` and `labels_y` must be given, or `positi"):
        kernels.label_log_sums(x, x, labels=labels)
    with pytest.raises(ValueError, match=r"log_sums: `exclude` must be one whole number"):
        kernels.log_sums(x, x, exclude=labels[:2])
