"""The table of operators: closed, complete, one shape for all."""

import inspect

import jax
import jax.numpy as jnp
import pytest

from crossmodal_jax import fusion

_XS = [jnp.ones((2, 4)), jnp.ones((2, 4)), jnp.ones((2, 4))]


def test_table_is_closed():
    with pytest.raises(TypeError):
        fusion.OPERATORS["mine"] = fusion.OPERATORS["mean"]


@pytest.mark.parametrize("name", fusion.OPERATORS)
def test_every_entry_is_a_public_function_of_one_signature(name):
    apply = fusion.OPERATORS[name].apply
    assert callable(getattr(fusion, name))
    parameters = list(inspect.signature(apply).parameters.values())
    assert [p.name for p in parameters[:3]] == ["xs", "weights", "present"]
    # What else an operator takes, it need not be given.
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in parameters[3:])


@pytest.mark.parametrize("name", [n for n, o in fusion.OPERATORS.items() if o.kind == "vectors"])
def test_width_is_told_by_eval_shape(name):
    operator = fusion.OPERATORS[name]
    weights = operator.init(jax.random.key(0), (4, 4, 4), 4)
    shape = jax.eval_shape(operator.apply, _XS, weights).shape
    assert shape == ((2, 15) if name == "concat" else (2, 4))


@pytest.mark.parametrize("name", fusion.OPERATORS)
def test_every_docstring_says_what_the_page_of_operators_shows(name):
    head = inspect.getdoc(getattr(fusion, name)).split("\nArgs:\n")[0]
    starts = [paragraph.split(maxsplit=1)[0] for paragraph in head.split("\n\n")]
    assert [s for s in starts if s in {"Absence:", "Cost:", "Choose"}] == [
        "Absence:",
        "Cost:",
        "Choose",
    ]


def test_kinds_are_the_documented_ones():
    kinds = {operator.kind for operator in fusion.OPERATORS.values()}
    assert kinds <= {"vectors", "tokens", "distributions", "decisions"}


@pytest.mark.parametrize("name", fusion.OPERATORS)
@pytest.mark.parametrize(("dims", "dim"), [((), 4), ((3, 0), 4), ((3, 3), 0)])
def test_bad_widths_are_refused(name, dims, dim):
    message = rf"init_{name}: `dims` must have one positive width per modality .* dim={dim};"
    with pytest.raises(ValueError, match=message):
        fusion.OPERATORS[name].init(jax.random.key(0), dims, dim)


def test_initial_variance_under_any_number_of_absent_modalities():
    # √M / k for k of M = 6 present: between 1/√6 and √6, whence the choice of the scale.
    xs = [jax.random.normal(jax.random.key(m), (2048, 32)) for m in range(6)]
    weights = fusion.init_weighted_sum(jax.random.key(7), (32,) * 6, 32)
    for k in range(1, 7):
        fused = fusion.weighted_sum(xs, weights, present=jnp.arange(6) < k)
        assert jnp.var(fused) == pytest.approx(6**0.5 / k, rel=0.15)
