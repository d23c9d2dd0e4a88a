"""The contract of every loss."""

import jax
import laws
import members
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax import losses

every_loss = pytest.mark.parametrize("name", members.LOSSES)


def test_every_public_loss_is_a_member():
    public = {name for name, value in vars(losses).items() if callable(value) and name[0] != "_"}
    lines = {name.partition("/")[0] for name in members.LOSSES}
    assert public - members.EXEMPT_LOSSES == lines
    assert public >= members.EXEMPT_LOSSES


@every_loss
@pytest.mark.parametrize("dtype", laws.TOLERANCE)
def test_equals_its_definition_on_the_kept_rows(name, dtype):
    laws.assert_equals_definition_on_kept_rows(members.LOSSES[name], dtype)


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dropped_rows_change_no_value_and_no_gradient(name, dtype):
    laws.assert_payload_is_ignored(members.LOSSES[name], dtype)


@every_loss
def test_zero_vectors_are_finite(name):
    laws.assert_zero_vectors_are_finite(members.LOSSES[name])


@every_loss
def test_order_of_rows_is_a_matter_of_names(name):
    laws.assert_order_of_rows_is_a_matter_of_names(members.LOSSES[name])


@pytest.mark.parametrize("name", [n for n, m in members.LOSSES.items() if not m.detached])
def test_gradients_are_those_of_finite_differences(name, x64):
    member = members.LOSSES[name]
    first, *rest = laws.arguments(member, "float64")
    function = jax.jit(lambda first: member.function(first, *rest, where=laws.MASKS[2]))
    check_grads(function, (first,), order=1, modes=["fwd", "rev"], atol=1e-6, rtol=1e-6)


@every_loss
def test_one_row_and_one_compilation(name):
    laws.assert_one_row_and_one_compilation(members.LOSSES[name])


@every_loss
def test_runs_under_strict_promotion_and_nan_debugging(name):
    laws.assert_runs_under_strict_checks(members.LOSSES[name], leaks=False)


# Leak checks trace everything anew, much of JAX itself included: by day a few.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] * (n not in {"cca_loss", "clip_loss/scale=1"}))
        for n in members.LOSSES
    ],
)
def test_leaks_nothing(name):
    laws.assert_runs_under_strict_checks(members.LOSSES[name], leaks=True)


@every_loss
@pytest.mark.parametrize("case", ["rows", "mask", "rank"])
def test_bad_shapes_are_refused_by_name(name, case, no_jaxtyping):
    member = members.LOSSES[name]
    arrays, where = laws.bad_shapes(member)[case]
    public = name.partition("/")[0]
    with pytest.raises(ValueError, match=rf"^{public}: .+ must .+, got .+; .+\.$"):
        member.function(*arrays, where=where)


@every_loss
def test_a_mask_that_is_not_boolean_is_refused(name, no_jaxtyping):
    member = members.LOSSES[name]
    arrays = laws.arguments(member)
    with pytest.raises(TypeError, match=r"`where` must be boolean .+, got float32; .+\.$"):
        member.function(*arrays, where=np.ones(7, np.float32))
