"""The contract of every metric."""

import laws
import members
import pytest

from crossmodal_jax import metrics

every_metric = pytest.mark.parametrize("name", members.METRICS)


def test_every_public_metric_is_a_member():
    public = {name for name, value in vars(metrics).items() if callable(value) and name[0] != "_"}
    assert public == {name.partition("/")[0] for name in members.METRICS} | members.EXEMPT


@every_metric
@pytest.mark.parametrize("dtype", laws.TOLERANCE)
def test_equals_its_definition_on_the_kept_rows(name, dtype):
    laws.assert_equals_definition_on_kept_rows(members.METRICS[name], dtype)


@every_metric
def test_dropped_rows_change_nothing(name):
    laws.assert_payload_is_ignored(members.METRICS[name], "float32")


@every_metric
def test_zero_vectors_are_finite(name):
    laws.assert_zero_vectors_are_finite(members.METRICS[name])


@every_metric
def test_order_of_rows_is_a_matter_of_names(name):
    laws.assert_order_of_rows_is_a_matter_of_names(members.METRICS[name])


@every_metric
def test_one_row_and_one_compilation(name):
    laws.assert_one_row_and_one_compilation(members.METRICS[name])


@every_metric
def test_runs_under_strict_promotion_nan_debugging_and_leak_checks(name):
    laws.assert_runs_under_strict_checks(members.METRICS[name], leaks=True)


@every_metric
@pytest.mark.parametrize("case", ["rows", "mask", "rank"])
def test_bad_shapes_are_refused(name, case, no_jaxtyping):
    member = members.METRICS[name]
    arrays, where = laws.bad_shapes(member)[case]
    with pytest.raises(ValueError, match=r"^\w+: .+, got .+\.$"):
        member.function(*arrays, where=where)
