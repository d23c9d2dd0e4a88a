"""Late fusion, stacking, evidence and VCDN: laws, identities, and values worked out by hand."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from crossmodal_jax import fusion

_LATE = ["late_mean", "late_product", "late_vote"]
_EVIDENTIAL = jax.jit(fusion.evidential)
_MASKS = np.array(list(itertools.product([False, True], repeat=3)))


def _scores(batch=(8,), k=4, num=3, seed=0):
    return list(np.random.default_rng(seed).normal(size=(num, *batch, k)))


def _evidence(batch=(8,), k=4, num=3):
    return list(np.random.default_rng(0).gamma(1.0, 3.0, size=(num, *batch, k)))


@functools.cache
def _late(name):
    return jax.jit(getattr(fusion, name))


def test_late_fusion_of_two_by_hand(x64):
    xs = [np.log([0.9, 0.1]), np.log([0.2, 0.8])]
    np.testing.assert_allclose(np.exp(_late("late_mean")(xs)), [0.55, 0.45], atol=1e-12)
    # √(0.9 · 0.2) : √(0.1 · 0.8) = 3 : 2.
    np.testing.assert_allclose(np.exp(_late("late_product")(xs)), [0.6, 0.4], atol=1e-12)
    np.testing.assert_array_equal(_late("late_vote")(xs), [0.5, 0.5])


@pytest.mark.parametrize("name", _LATE)
def test_weights_count_a_modality_more_than_once(name, x64):
    # Weights 2, 1, 3 are two, one and three voices of weight 1; absent ones do not count.
    xs, late = _scores(), _late(name)
    got = late(xs, weights=np.array([2.0, 1.0, 3.0]), present=_MASKS)
    copies = [0, 0, 1, 2, 2, 2]
    expected = late([xs[m] for m in copies], present=_MASKS[:, copies])
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", _LATE)
def test_a_single_voice_is_kept_and_no_voice_is_uniform(name, x64):
    xs, late = _scores(), _late(name)
    # One sample for each case, with weights of its own.
    weights = np.array([[0, 2, 0], [1, 1, 1], [0, 0, 0], [1, 1, 1], [0, 2, 0]], np.float64)
    present = np.array([[1, 1, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 1]], bool)
    got = late([x[:5] for x in xs], weights=weights, present=present)
    vote = name == "late_vote"
    alone = np.eye(4)[xs[1].argmax(axis=-1)] if vote else log_softmax(xs[1], axis=-1)
    np.testing.assert_allclose(got[:2], alone[:2], rtol=0, atol=1e-12)
    np.testing.assert_allclose(got[2:], 0.25 if vote else -np.log(4), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", _LATE)
def test_gradients_to_the_weights_are_finite_and_pay_no_heed_to_absent_ones(name):
    xs = [x.astype(np.float32) for x in _scores()]
    weights = np.ones((8, 3), np.float32)
    weights[:, 2] = 0
    weights[~_MASKS] = np.nan
    probe = np.arange(32, dtype=np.float32).reshape(8, 4)
    late = lambda weights: getattr(fusion, name)(xs, weights=weights, present=_MASKS)
    value, slope = jax.jit(jax.value_and_grad(lambda w: jnp.sum(probe * late(w))))(weights)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert not slope[~_MASKS].any()
    assert slope[-1, :2].all()


@pytest.mark.parametrize("name", ["late_mean", "late_product"])
def test_results_are_log_probabilities_at_any_scale(name):
    # A class of probability e⁻²⁰⁰ keeps its logarithm: no exponential is taken and undone.
    got = _late(name)([np.float32([0, -200]), np.float32([0, -300])])
    expected = {"late_mean": -200 - np.log(2), "late_product": -250}[name]
    np.testing.assert_allclose(got, [0, expected], rtol=1e-6)
    scales = np.repeat([1, 100, 1e4], 8)[:, None]
    xs = [(scales * np.tile(x, (3, 1))).astype(np.float32) for x in _scores()]
    got, pull = jax.vjp(_late(name), xs)
    assert np.isfinite(got).all()
    assert np.isfinite(np.stack(pull(jnp.ones_like(got))[0])).all()
    np.testing.assert_allclose(np.exp(got).sum(axis=-1), 1, rtol=1e-5)


def test_mean_forgives_and_product_vetoes():
    xs = [np.log([0.98, 0.01, 0.01]), np.log([1e-9, 0.5, 0.5])]
    assert np.argmax(_late("late_mean")(xs)) == 0
    assert np.argmax(_late("late_product")(xs)) != 0


def test_votes_of_ties_are_shared():
    xs = [np.array([2.0, 2.0, 1.0]), np.array([5.0, 5.0, 5.0]), np.array([0.0, 0.0, 9.0])]
    expected = (np.array([1 / 2, 1 / 2, 0]) + 1 / 3 + np.array([0, 0, 1])) / 3
    np.testing.assert_allclose(_late("late_vote")(xs), expected, rtol=1e-6)


@pytest.mark.parametrize("name", _LATE)
def test_late_weights_of_other_modalities_are_refused(name, no_jaxtyping):
    message = rf"^{name}: `weights` must broadcast to \[\*batch, m\] = \(8, 3\), got .+; .+\.$"
    with pytest.raises(ValueError, match=message):
        getattr(fusion, name)(_scores(), weights=np.ones(4))


@pytest.mark.parametrize("name", [*_LATE, "evidential"])
def test_other_classes_are_refused(name, no_jaxtyping):
    message = rf"^{name}: all modalities must have one width d, got \[2, 3\]; .+\.$"
    with pytest.raises(ValueError, match=message):
        getattr(fusion, name)([jnp.ones((4, 2)), jnp.ones((4, 3))])


def test_evidence_of_two_by_hand(x64):
    # K = 2, e₁ = (2, 0): b = (1/2, 0), u = 1/2. e₂ = (2, 4): b = (1/4, 1/2), u = 1/4.
    # C = 1/2 · 1/2 = 1/4; b ∝ (1/8 + 1/8 + 1/8, 1/4), u ∝ 1/8, all over 3/4: (1/2, 1/3), 1/6.
    evidence = _EVIDENTIAL([np.array([2.0, 0.0]), np.array([2.0, 4.0])])
    np.testing.assert_allclose(evidence, [6, 4], atol=1e-12)
    belief, uncertainty = fusion.opinion(evidence)
    np.testing.assert_allclose(belief, [1 / 2, 1 / 3], atol=1e-12)
    np.testing.assert_allclose(uncertainty, 1 / 6, atol=1e-12)


def test_dempsters_rule_is_associative_with_a_neutral_element(x64):
    a, b, c = _evidence()
    close = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=0)
    together, ab = _EVIDENTIAL([a, b, c]), _EVIDENTIAL([a, b])
    close(_EVIDENTIAL([ab, c]), together)
    close(_EVIDENTIAL([a, _EVIDENTIAL([b, c])]), together)
    close(_EVIDENTIAL([a, np.zeros_like(a)]), a)
    close(_EVIDENTIAL([a]), a)
    close(ab, a + b + a * b / 4)


def test_opinions_are_masses_and_more_evidence_lowers_uncertainty(x64):
    xs, opinion = _evidence(), jax.jit(fusion.opinion)
    together = opinion(_EVIDENTIAL(xs))
    total = np.sum(together.belief, axis=-1) + together.uncertainty
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    assert together.uncertainty.shape == (8,)
    for x in xs:
        np.testing.assert_allclose(opinion(x).uncertainty, 4 / np.sum(x + 1, axis=-1), rtol=1e-12)
        assert (together.uncertainty <= opinion(x).uncertainty).all()
    vacuous = fusion.opinion(np.zeros(4))
    np.testing.assert_array_equal(vacuous.belief, 0)
    assert vacuous.uncertainty == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_huge_evidence_is_finite_and_keeps_its_ratios(dtype):
    largest = float(jnp.finfo(dtype).max)
    sizes = np.array([1e-3, 1, 1e3, largest / 8, largest])
    x = jnp.asarray(sizes[:, None] * [1, 0.5, 0], dtype)

    def run(x):
        evidence = fusion.evidential([x, x, x])
        return evidence, fusion.opinion(evidence)

    (evidence, (belief, uncertainty)), pull = jax.vjp(jax.jit(run), x)
    wide = functools.partial(np.asarray, dtype=np.float32)
    assert np.isfinite(wide(evidence)).all()
    # Some is smaller than float16 tells from 0; K = 3 classes.
    np.testing.assert_allclose(wide(belief).sum(axis=-1) + wide(uncertainty), 1, atol=1e-2)
    # (1 + e/3)³ without the ones: 1 : 1/8.
    np.testing.assert_allclose(wide(belief)[2:], [[8 / 9, 1 / 9, 0]] * 3, atol=1e-2)
    (slope,) = pull((jnp.zeros_like(evidence), fusion.Opinion(belief, uncertainty)))
    assert np.isfinite(wide(slope)).all()


def test_small_evidence_keeps_its_digits():
    # (1 + e/K)² − 1 in float32 would leave none of e = 1e−9.
    x = np.float32([1e-9, 3e-9])
    np.testing.assert_allclose(_EVIDENTIAL([x, x]), 2 * x, rtol=1e-6)


def test_stacking_starts_as_the_product_rule_under_any_mask(x64):
    xs = _scores()
    weights = fusion.init_stacking(jax.random.key(0), (4, 4, 4), 4)
    got = softmax(jax.jit(fusion.stacking)(xs, weights, present=_MASKS), axis=-1)
    probabilities = softmax(np.stack(xs), axis=-1)
    product = np.prod(np.where(_MASKS.T[..., None], probabilities, 1), axis=0)
    expected = product / product.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_stacking_can_hold_bayes_rule_with_a_class_prior(x64):
    # Two classes of prior π; modalities independent given the class, P(class | x) ∝ π · likelihood.
    rng = np.random.default_rng(0)
    prior = np.array([0.2, 0.8])
    likelihood = rng.uniform(0.1, 1, size=(3, 8, 2))
    xs = list(np.log(likelihood * prior))
    weights = fusion.init_stacking(jax.random.key(0), (2, 2, 2), 2)
    log_prior = np.log(prior)
    weights = weights._replace(biases=np.tile(-log_prior, (3, 1)), bias=log_prior)
    got = softmax(jax.jit(fusion.stacking)(xs, weights, present=_MASKS), axis=-1)
    joint = prior * np.prod(np.where(_MASKS.T[..., None], likelihood, 1), axis=0)
    np.testing.assert_allclose(got, joint / joint.sum(axis=1, keepdims=True), rtol=0, atol=1e-12)


def test_stacking_of_other_classes_starts_with_what_it_knows():
    weights = fusion.init_stacking(jax.random.key(0), (3, 4), 4)
    np.testing.assert_array_equal(weights.kernels[0], np.zeros((3, 4)))
    np.testing.assert_array_equal(weights.kernels[1], np.eye(4))


@pytest.mark.parametrize("dims", [(3,), (3, 2), (2, 3, 4)])
def test_vcdn_of_certain_modalities_reads_one_cell(dims, x64):
    weights = fusion.init_vcdn(jax.random.key(0), dims, 5)
    classes = list(itertools.product(*map(range, dims)))
    xs = [1e3 * np.eye(d)[[cell[m] for cell in classes]] for m, d in enumerate(dims)]
    hidden = np.asarray(weights.hidden_kernel, np.float64)
    expected = np.maximum(hidden, hidden / 4) @ np.asarray(weights.kernel, np.float64)
    np.testing.assert_allclose(jax.jit(fusion.vcdn)(xs, weights), expected, rtol=0, atol=1e-12)


def test_vcdn_of_an_absent_modality_averages_over_its_classes(x64):
    # Without a ramp in the way: hidden units that are never negative.
    weights = fusion.init_vcdn(jax.random.key(0), (4, 4, 4), 2)
    weights = weights._replace(hidden_kernel=abs(weights.hidden_kernel))
    xs = _scores()
    vcdn = jax.jit(fusion.vcdn)
    got = vcdn(xs, weights, present=np.array([True, False, True]))
    sure = 1e3 * np.eye(4)
    each = [vcdn([xs[0], np.tile(sure[c], (8, 1)), xs[2]], weights) for c in range(4)]
    np.testing.assert_allclose(got, np.mean(each, axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("dims", "dim"), [((3, 3), 8), ((10, 10, 10), 64), ((2,) * 6, 512)])
def test_vcdn_of_certain_modalities_has_variance_one(dims, dim):
    # Gains from theory: logits of variance 1 for one-hot decisions, within 20 % over 32 draws.
    xs = [np.float32(1e3 * np.eye(d))[np.arange(64) * (m + 1) % d] for m, d in enumerate(dims)]
    draw = lambda key: jnp.mean(fusion.vcdn(xs, fusion.init_vcdn(key, dims, dim)) ** 2)
    keys = jax.random.split(jax.random.key(0), 32)
    variance = np.mean(jax.jit(functools.partial(jax.lax.map, draw))(keys))
    assert variance == pytest.approx(1, rel=0.2)


def test_vcdn_hidden_units_and_limits(no_jaxtyping):
    weights = fusion.init_vcdn(jax.random.key(0), (3, 2), 4, hidden=5)
    assert [x.shape for x in weights] == [(6, 5), (5,), (5, 4), (4,)]
    assert fusion.vcdn([jnp.ones((2, 3)), jnp.ones((2, 2))], weights).shape == (2, 4)
    with pytest.raises(ValueError, match=r"^init_vcdn: `hidden` must be at least 1, got 0; .+\.$"):
        fusion.init_vcdn(jax.random.key(0), (3, 2), 4, hidden=0)
    with pytest.raises(
        ValueError, match=r"^init_vcdn: .+ must be at most 65536, got 100000 for .+"
    ):
        fusion.init_vcdn(jax.random.key(0), (10,) * 5, 4)
    message = (
        r"^vcdn: .+ must have one row per combination of classes, got 6 rows for \(3, 3\) .+\.$"
    )
    with pytest.raises(ValueError, match=message):
        fusion.vcdn([jnp.ones((2, 3)), jnp.ones((2, 3))], weights)
    message = r"^stacking: `weights` must have one kernel .* width \[3, 3\]; .*init_stacking\("
    stacked = fusion.init_stacking(jax.random.key(0), (3, 2), 4)
    with pytest.raises(ValueError, match=message):
        fusion.stacking([jnp.ones((2, 3)), jnp.ones((2, 3))], stacked)


@pytest.mark.parametrize("name", [*_LATE, "evidential", "stacking", "vcdn"])
def test_decisions_share_batch_axes_and_mix_dtypes(name, strict):
    operator = fusion.OPERATORS[name]
    weights = operator.init(jax.random.key(0), (3, 3), 3)
    one, many = np.ones(3, jnp.bfloat16), np.ones((2, 5, 3), np.float32)
    present = np.array([[[True, False]], [[True, True]]])
    fused = jax.eval_shape(operator.apply, [one, many], weights, present=present)
    assert fused.shape == (2, 5, 3)
    assert fused.dtype == jnp.float32
