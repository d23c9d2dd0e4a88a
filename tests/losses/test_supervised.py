"""SupCon, NT-Xent, hard negatives and captioning: special cases, other libraries, edges."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from crossmodal_jax import losses


def _pairs(n=33, d=8, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n, d))
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y + x))
    return x, y, rng.integers(0, 5, size=n), rng.uniform(size=n) < 0.8


def _supcon(x, y, labels, **options):
    return losses.supcon_loss(x, labels=labels, **options)


def _supcon_of_two(x, y, labels, **options):
    return losses.supcon_loss(x, y, labels=labels, **options)


def _ntxent(x, y, labels, **options):
    return losses.ntxent_loss(x, y, **options)


def _hard_negative(x, y, labels, **options):
    return losses.hard_negative_loss(x, y, hardness=0.5, positive_weight=0.8, **options)


def _captioning(x, y, labels, **options):
    return losses.token_cross_entropy(x, y, labels, **options)


@pytest.mark.parametrize("loss", [_supcon, _supcon_of_two, _ntxent, _hard_negative, _captioning])
def test_streamed_is_plain(loss, x64):
    x, y, labels, keep = _pairs()

    @jax.jit
    def both(x, y, scale):
        def total(implementation, *args):
            x, y, scale = args
            options = {"logit_scale": scale, "where": keep, "implementation": implementation}
            return jnp.sum(jnp.cos(jnp.arange(33.0)) * loss(x, y, labels, **options))

        return [jax.value_and_grad(total, (1, 2, 3))(k, x, y, scale) for k in ("xla", "streamed")]

    for scale in (0.0, 3.0, 100.0):
        plain, streamed = both(x, y, scale)
        compare = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
        jax.tree.map(compare, plain, streamed)


def test_supcon_of_pairs_alone_is_clip(x64):
    x, y, _, keep = _pairs()
    options = {"logit_scale": 7.0, "where": keep}
    got = losses.supcon_loss(x, y, labels=np.arange(33)[::-1] - 9, **options)
    np.testing.assert_allclose(got, losses.clip_loss(x, y, **options), rtol=0, atol=1e-13)


def test_supcon_of_two_sets_is_clip_with_several_positives(x64):
    x, y, labels, keep = _pairs()
    options = {"logit_scale": 7.0, "where": keep}
    expected = losses.clip_loss(x, y, positives=labels[:, None] == labels, **options)
    got = losses.supcon_loss(x, y, labels=labels, **options)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


def test_supcon_of_two_views_is_ntxent(x64):
    # Each view has the other as its one positive.
    x, y, _, keep = _pairs()
    views, twice = np.concatenate([x, y]), np.tile(np.arange(33), 2)
    got = losses.supcon_loss(views, labels=twice, logit_scale=5.0, where=np.tile(keep, 2))
    expected = losses.ntxent_loss(x, y, logit_scale=5.0, where=keep)
    np.testing.assert_allclose(got.reshape(2, 33).mean(0), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("second", [False, True])
def test_a_matrix_of_positives_is_as_good_as_labels(second, x64):
    x, y, labels, keep = _pairs()
    sides = (x, y) if second else (x,)
    options = {"logit_scale": 7.0, "where": keep}
    positives = labels[:, None] == labels
    by_matrix = lambda *sides: losses.supcon_loss(*sides, positives=positives, **options).sum()
    by_label = lambda *sides: losses.supcon_loss(*sides, labels=labels, **options).sum()
    for got, expected in zip(
        jax.tree.leaves(jax.value_and_grad(by_matrix, range(len(sides)))(*sides)),
        jax.tree.leaves(jax.value_and_grad(by_label, range(len(sides)))(*sides)),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


def test_ntxent_is_that_of_optax(x64):
    x, y, _, _ = _pairs()
    theirs = optax.losses.ntxent(np.concatenate([x, y]), np.tile(np.arange(33), 2), 0.2)
    np.testing.assert_allclose(losses.ntxent_loss(x, y, logit_scale=5.0).mean(), theirs, rtol=1e-6)


def test_without_weights_hard_negatives_are_clip(x64):
    x, y, _, keep = _pairs()
    options = {"logit_scale": 14.0, "where": keep}
    got = losses.hard_negative_loss(x, y, hardness=0.0, **options)
    np.testing.assert_allclose(got, losses.clip_loss(x, y, **options), rtol=0, atol=1e-12)


def test_the_hardest_negative_is_all_there_is(x64):
    # For β → ∞ all weight is on the largest logit: log(exp zᵢᵢ + (n − 1) exp max z) − zᵢᵢ.
    x, y, _, _ = _pairs()
    z = 10 * x @ y.T
    off = np.where(np.eye(33, dtype=bool), -np.inf, z)
    expected = [
        np.logaddexp(np.diag(z), np.log(32) + off.max(axis)) - np.diag(z) for axis in (0, 1)
    ]
    got = losses.hard_negative_loss(x, y, logit_scale=10.0, hardness=1e4)
    np.testing.assert_allclose(got, np.mean(expected, axis=0), rtol=1e-9)


@pytest.mark.parametrize("loss", [_supcon, _supcon_of_two, _ntxent, _hard_negative])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_finite_at_any_scale_for_duplicates_zeros_and_single_rows(loss, dtype):
    alike, zeros = np.ones((6, 4)) / 2, np.zeros((6, 4))
    cases = jnp.asarray(np.stack([alike, zeros, -alike]), dtype)
    labels = jnp.asarray([0, 0, 1, 1, 2, 3])
    rows = np.arange(6)
    masks = np.stack([rows >= 0, rows == 2, rows == 5, rows < 0])

    def total(x, y, scale, keep):
        return jnp.sum(loss(x, y, labels, logit_scale=scale, where=keep))

    for axes in ((None, None, None, 0), (None, None, 0, None), (0, None, None, None)):
        total = jax.vmap(total, axes)
    run = lambda *args: jax.vjp(total, *args, masks)
    value, pull = jax.jit(run)(cases, cases[0], jnp.asarray([0.0, 1.0, 100.0], dtype))
    for leaf in (value, *pull(jnp.ones_like(value))[:3]):
        assert np.isfinite(np.asarray(leaf, np.float64)).all()
    # A row that is compared with nothing has no loss.
    assert not value[..., 3].any()


def test_captioning_is_the_cross_entropy_of_optax(x64):
    rng = np.random.default_rng(1)
    hidden, words = rng.normal(size=(3, 7, 5)), rng.normal(size=(11, 5))
    labels = rng.integers(0, 11, size=(3, 7))
    got = losses.token_cross_entropy(hidden, words, labels, logit_scale=2.0)
    logits = 2 * hidden @ words.T
    expected = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_a_word_that_there_is_not_shows():
    hidden, words = jnp.ones((3, 2)), jnp.ones((5, 2))
    loss = losses.token_cross_entropy(
        hidden, words, jnp.asarray([0, 5, -1]), where=jnp.asarray([True, True, False])
    )
    np.testing.assert_array_equal(np.isnan(loss), [False, True, False])


def test_bad_arguments_are_refused(no_jaxtyping):
    x = jnp.ones((3, 2))
    with pytest.raises(
        ValueError, match=r"supcon_loss: `labels` must be one whole .* \(2,\); pass"
    ):
        losses.supcon_loss(x, labels=jnp.arange(2))
    with pytest.raises(ValueError, match=r"supcon_loss: one of `labels` and .* must .*, got none"):
        losses.supcon_loss(x)
    with pytest.raises(ValueError, match=r"supcon_loss: `positives` must be .*\(3, 3\), got bool"):
        losses.supcon_loss(x, positives=jnp.ones((3, 2), bool))
    with pytest.raises(
        ValueError, match=r"token_cross_entropy: `hidden` and .* transpose a kernel"
    ):
        losses.token_cross_entropy(x, jnp.ones((2, 5)), jnp.arange(3))
    with pytest.raises(ValueError, match=r"`labels` must be one .* tokens \(3,\), got float32"):
        losses.token_cross_entropy(x, x, jnp.ones(3))
