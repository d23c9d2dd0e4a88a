"""The functional entropy of a linear classifier, whose gradients are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.special import log_softmax, softmax

from crossmodal_jax import losses

KEY = jax.random.key(3)
_RNG = np.random.default_rng(0)
XS = [_RNG.normal(size=(6, d)) for d in (3, 2, 4)]
KERNELS = [_RNG.normal(size=(d, 5)) for d in (3, 2, 4)]
PRESENT = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0]], bool)
WHERE = np.array([1, 1, 1, 1, 1, 0], bool)
SCALES = [np.full(3, 0.3), np.linspace(0.1, 1, 12).reshape(6, 2), np.array(0.5)]


def linear(kernels):
    return lambda xs: functools.reduce(jnp.add, [x @ w for x, w in zip(xs, kernels, strict=True)])


def information(mask, scales, draws):
    """I of each modality by loops over draws and rows, from the same perturbations."""
    keys = jax.random.split(KEY, (draws, len(XS)))
    noise = [
        [np.asarray(jax.random.normal(k, x.shape, x.dtype)) for k, x in zip(ks, XS, strict=True)]
        for ks in keys
    ]
    ratios = [[] for _ in XS]
    for s in range(draws):
        for row in range(6):
            kept = np.flatnonzero(mask[row])
            x = [XS[m][row] for m in kept]
            z = [
                XS[m][row] + np.broadcast_to(scales[m], XS[m].shape)[row] * noise[s][m][row]
                for m in kept
            ]
            p, log_q = (
                f(sum((v @ KERNELS[m] for v, m in zip(vs, kept, strict=True)), np.zeros(5)))
                for f, vs in ((softmax, x), (log_softmax, z))
            )
            for m in kept:
                slope = KERNELS[m] @ (np.exp(log_q) - p)
                ratios[m].append(slope @ slope / -(p @ log_q))
    return [np.mean(r) if r else None for r in ratios]


def expected(mask, scales, draws, p, eps):
    inverse = [1 / (i + eps) for i in information(mask, scales, draws) if i is not None]
    return np.linalg.norm(inverse, p)


@functools.partial(jax.jit, static_argnames=("num_samples", "p"))
def loss(kernels, xs, scales, eps, present, where, num_samples=4, p=2.0):
    return losses.functional_entropy_loss(
        KEY,
        linear(kernels),
        xs,
        noise_scale=scales,
        num_samples=num_samples,
        p=p,
        eps=eps,
        present=present,
        where=where,
    )


ALL = (np.ones((6, 3), bool), np.ones(6, bool))


@pytest.mark.parametrize("p", [1.0, 3.5])
def test_equals_the_formula(p, x64):
    for present, where in (ALL, (PRESENT, WHERE)):
        got = loss(KERNELS, XS, SCALES, 1e-2, present, where, p=p)
        mask = present & where[:, None]
        np.testing.assert_allclose(got, expected(mask, SCALES, 4, p, 1e-2), rtol=1e-10)


def test_what_is_absent_or_dropped_is_ignored(x64):
    mask = PRESENT & WHERE[:, None]
    run = jax.jit(jax.value_and_grad(loss, (0, 1)))
    filled = lambda payload: [np.where(mask[:, [m]], x, payload) for m, x in enumerate(XS)]
    clean = run(KERNELS, filled(0.0), SCALES, 1e-2, PRESENT, WHERE)
    for payload in (np.nan, np.inf, 1e30):
        broken = run(KERNELS, filled(payload), SCALES, 1e-2, PRESENT, WHERE)
        jax.tree.map(np.testing.assert_array_equal, broken, clean)
    assert np.isfinite(clean[0])
    for m, slope in enumerate(clean[1][1]):
        assert np.isfinite(slope).all()
        assert not slope[~mask[:, m]].any()


def test_gradients_are_those_of_finite_differences(x64):
    function = jax.jit(lambda kernels: loss(kernels, XS, SCALES, 1e-2, PRESENT, WHERE))
    check_grads(function, (KERNELS,), order=1, modes=["fwd", "rev"], atol=1e-5, rtol=1e-5)


def test_nothing_ignored_sure_or_absent_breaks_it():
    f4 = lambda tree: jax.tree.map(lambda x: np.asarray(x, np.float32), tree)
    run = jax.jit(jax.value_and_grad(loss))
    weights, xs, scales, eps = f4((KERNELS, XS, SCALES, 1e-3))
    ignored = [weights[0], 0 * weights[1], weights[2]]
    value, _ = run(ignored, xs, scales, eps, *ALL)
    assert value > 0.99e3
    assert value < 1.1e3
    sure = [1e4 * w for w in weights]
    for kernels in ([0 * w for w in weights], ignored, sure):
        for present, where in (ALL, (ALL[0], ~ALL[1]), (~ALL[0], ALL[1])):
            found = run(kernels, xs, scales, eps, present, where)
            assert all(np.isfinite(x).all() for x in jax.tree.leaves(found))
    value, _ = run(weights, xs, scales, eps, ALL[0], ~ALL[1])
    assert value == 0


def test_bfloat16_inputs_reach_the_function_as_they_are_and_the_loss_is_float32():
    seen = []

    def function(xs):
        seen.extend(x.dtype for x in xs)
        return xs[0]

    xs = [jnp.ones((3, 2), jnp.bfloat16)]
    with jax.numpy_dtype_promotion("strict"):
        got = jax.eval_shape(lambda: losses.functional_entropy_loss(KEY, function, xs))
    assert got.dtype == jnp.float32
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_samples": 0}, "`num_samples` must be at least 1"),
        ({"p": 0.5}, "`p` at least 1, got 10 and 0.5"),
        ({"noise_scale": [1.0]}, "`noise_scale` must be a number or one array per modality"),
        ({"function": lambda xs: xs[0][:, 0]}, "`function` must return logits"),
        ({"xs": [XS[0], XS[1][:3]]}, "must broadcast"),
        ({"xs": [XS[0][None]]}, "`xs` must be matrices"),
        ({"where": WHERE[:2]}, "`where` must have shape"),
    ],
)
def test_bad_arguments_are_refused(changes, message, no_jaxtyping):
    arguments = {"function": lambda xs: xs[0], "xs": XS[:2], **changes}
    with pytest.raises(ValueError, match=message):
        losses.functional_entropy_loss(KEY, **arguments)
