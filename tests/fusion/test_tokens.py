"""What all operators on tokens share: which tokens exist, and what does not depend on them."""

import functools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import fusion

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))
import operators_tokens

# Long to compile: its contract holds by day, all of this at night.
pytestmark = pytest.mark.slow

# Those of any number of modalities; bilinear attention, of two, has tests of its own.
NAMES = [
    name
    for name, operator in fusion.OPERATORS.items()
    if operator.kind == "tokens" and name != "bilinear_attention"
]
every_operator = pytest.mark.parametrize("name", NAMES)
DIMS, LENGTHS, DIM = (5, 4, 3), (3, 2, 4), 6


def tokens(num=3, dims=DIMS, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(num, t, d)) for t, d in zip(LENGTHS, dims, strict=False)]


def weights_of(name, dims=DIMS, **options):
    """Weights that are neither special nor alike, in float64 if that is enabled."""
    init = getattr(fusion, f"init_{name}")
    rng = np.random.default_rng(1)
    nudge = lambda x: jnp.asarray(np.asarray(x) + 0.3 * rng.normal(size=x.shape))
    return jax.tree.map(nudge, init(jax.random.key(0), dims, DIM, num_heads=2, **options))


@functools.cache
def compiled(name):
    return jax.jit(fusion.OPERATORS[name].apply)


MASKS = (
    np.array([[True, True, True], [False, True, True], [False, False, False]]),
    np.array([[True, True], [True, False], [False, True]]),
    np.array([[True, True, True, True], [False, True, False, True], [True, False, False, False]]),
)


@every_operator
def test_a_token_that_is_masked_is_a_token_that_is_deleted(name, x64):
    xs, weights = tokens(), weights_of(name)
    got = compiled(name)(xs, weights, where=MASKS)
    oracle = getattr(operators_tokens, name)
    exact = jax.tree.map(np.asarray, weights)
    for i, value in enumerate(got):
        kept = [x[i, mask[i]] for x, mask in zip(xs, MASKS, strict=True)]
        some = [m for m, x in enumerate(kept) if len(x)]
        np.testing.assert_allclose(value, oracle(kept, exact, some), rtol=0, atol=1e-12)


# The widest programs take half a minute each to compile.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[pytest.mark.slow] if name in {"mult", "bottleneck", "perceiver"} else []
        )
        for name in NAMES
    ],
)
def test_payload_of_a_masked_token_changes_no_value_and_no_gradient(name, strict):
    xs = [x.astype(np.float32) for x in tokens()]
    weights = jax.tree.map(lambda x: x.astype(jnp.float32), weights_of(name))
    filled = lambda value: [
        np.where(mask[..., None], x, np.float32(value)) for x, mask in zip(xs, MASKS, strict=True)
    ]

    @jax.jit
    def run(xs, weights):
        apply = functools.partial(fusion.OPERATORS[name].apply, where=MASKS)
        z, pull = jax.vjp(apply, xs, weights)
        return z, pull(jnp.cos(jnp.arange(z.size, dtype=z.dtype)).reshape(z.shape))

    expected = run(filled(0), weights)
    for slope, mask in zip(expected[1][0], MASKS, strict=True):
        assert not slope[~mask].any()
    for payload in (np.nan, np.inf, 1e30):
        got = run(filled(payload), weights)
        jax.tree.map(np.testing.assert_array_equal, got, expected)


@every_operator
def test_a_modality_without_tokens_is_absent(name, x64):
    xs, weights = tokens(), weights_of(name)
    present = np.array([[True, False, True], [False, True, True], [False, False, False]])
    masks = [np.repeat(present[:, m, None], t, axis=1) for m, t in enumerate(LENGTHS)]
    expected = compiled(name)(xs, weights, present=present)
    got = compiled(name)(xs, weights, where=masks)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    assert not got[2].any()


@every_operator
def test_where_may_be_none_for_some_and_broadcasts(name, x64):
    xs, weights = tokens(), weights_of(name)
    got = compiled(name)(xs, weights, where=[None, np.array([True, False]), None])
    masks = [np.ones((3, t), bool) for t in LENGTHS]
    masks[1][:, 1] = False
    np.testing.assert_allclose(got, compiled(name)(xs, weights, where=masks), atol=1e-12)


@every_operator
def test_order_of_tokens_matters_only_where_they_have_positions(name, x64):
    xs, weights = tokens(), weights_of(name)
    expected = compiled(name)(xs, weights, where=MASKS)
    order = [[2, 0, 1], [1, 0], [3, 1, 0, 2]]
    moved = [x[:, o] for x, o in zip(xs, order, strict=True)]
    masks = [mask[:, o] for mask, o in zip(MASKS, order, strict=True)]
    got = compiled(name)(moved, weights, where=masks)
    if name == "mult":
        assert np.abs(got - expected).max() > 0.1
    else:
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@every_operator
def test_batch_axes_broadcast(name):
    xs = [x.astype(np.float32) for x in tokens(2)]
    weights, apply = weights_of(name), compiled(name)
    xs = [xs[0][0], xs[1][:, None], np.stack([xs[2]] * 3, axis=1)]
    present = np.array([[[True, False, True]], [[True, True, True]]])
    where = [np.array([True, False, True]), None, None]
    got = apply(xs, weights, present=present, where=where)
    full = [np.broadcast_to(x, (2, 3, *x.shape[-2:])) for x in xs]
    masks = [np.broadcast_to([True, False, True], (2, 3, 3)), None, None]
    present = np.broadcast_to(present, (2, 3, 3))
    expected = apply(full, weights, present=present, where=masks)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
    assert got.shape == (2, 3, DIM)


@every_operator
def test_single_modality_and_mixed_dtypes(name):
    xs = [jnp.asarray(x, jnp.bfloat16) for x in tokens()]
    apply = compiled(name)
    alone = apply(xs[:1], weights_of(name, DIMS[:1]))
    assert alone.shape == (3, DIM)
    assert jnp.isfinite(alone).all()
    shape = jax.eval_shape(apply, [xs[0], xs[1].astype(jnp.float32), xs[2]], weights_of(name))
    assert shape.dtype == jnp.float32


@pytest.mark.parametrize(("num_heads", "shape"), [(1, (6, 1, 6)), (3, (6, 3, 2)), (4, (6, 4, 2))])
def test_heads_share_the_width_and_round_up(num_heads, shape, x64):
    # The oracle reads the heads from the shapes as well.
    init = functools.partial(fusion.init_early_transformer, jax.random.key(0), DIMS, DIM)
    weights = jax.tree.map(lambda x: jnp.asarray(x, float), init(num_heads=num_heads))
    assert weights.blocks[0].query.shape == shape
    xs = tokens()
    got = jax.jit(fusion.early_transformer)(xs, weights)
    exact = jax.tree.map(np.asarray, weights)
    for i in range(3):
        one = operators_tokens.early_transformer([x[i] for x in xs], exact, [0, 1, 2])
        np.testing.assert_allclose(got[i], one, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cross_attention", {"num_layers": 3}),
        ("early_transformer", {"num_layers": 1}),
        ("perceiver", {"num_layers": 2, "num_latents": 3}),
        ("bottleneck", {"num_layers": 3, "num_bottlenecks": 1}),
        ("mult", {"num_layers": 2}),
    ],
)
def test_other_depths_and_numbers_equal_the_definition(name, options, x64):
    xs, weights = tokens(1), weights_of(name, **options)
    got = compiled(name)(xs, weights)
    exact = jax.tree.map(np.asarray, weights)
    expected = getattr(operators_tokens, name)([x[0] for x in xs], exact, [0, 1, 2])
    np.testing.assert_allclose(got[0], expected, rtol=0, atol=1e-11)  # up to nine blocks deep


@every_operator
def test_bad_options_are_refused(name):
    init = functools.partial(getattr(fusion, f"init_{name}"), jax.random.key(0), (3, 3))
    with pytest.raises(ValueError, match=rf"init_{name}: `dim` must be at least 2, .+, got dim=1;"):
        init(1)
    numbers = {"perceiver": ["num_latents"], "bottleneck": ["num_bottlenecks"]}.get(name, [])
    for option in ("num_heads", "num_layers", *numbers):
        message = rf"init_{name}: `{option}` must be at least 1, got 0; "
        with pytest.raises(ValueError, match=message):
            init(4, **{option: 0})


@every_operator
def test_bad_masks_and_tokens_are_refused(name, no_jaxtyping):
    xs, weights, apply = tokens(), weights_of(name), fusion.OPERATORS[name].apply
    for where, got in [
        (MASKS[:2], "must be .*, got 2 entries"),
        (MASKS[0], r"must be .*, got one array of shape \(3, 3\)"),
        ([None, MASKS[0], None], r"of modality 1 must broadcast to .*, got shape \(3, 3\)"),
    ]:
        with pytest.raises(ValueError, match=rf"^{name}: `where` .*{got}; .+\.$"):
            apply(xs, weights, where=where)
    with pytest.raises(TypeError, match=rf"^{name}: `where` must be boolean .* modality 2; .+\.$"):
        apply(xs, weights, where=[None, None, MASKS[2].astype(int)])
    message = rf"^{name}: every modality must have a token .*got shapes \[\(5,\)\] .*\[0\]; .+\.$"
    with pytest.raises(ValueError, match=message):
        apply([xs[0][0, 0], *xs[1:]], weights)
    message = rf"^{name}: `weights` must have one kernel .*; make them with init_{name}\(.*\.$"
    with pytest.raises(ValueError, match=message):
        apply(xs[::-1], weights)
