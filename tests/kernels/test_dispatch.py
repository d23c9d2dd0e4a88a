import pytest

from crossmodal_jax.kernels import dispatch


def refuse(x):
    raise NotImplementedError(f"no {x}")


def fail(x):
    raise ValueError("broken")


TABLE = {"fast": refuse, "broken": fail, "xla": lambda x: ("xla", x)}


def test_none_takes_the_first_that_can():
    assert dispatch("op", {"fast": refuse, "xla": TABLE["xla"]}, None, 3) == ("xla", 3)
    assert dispatch("op", {"first": lambda x: ("first", x), **TABLE}, None, 3) == ("first", 3)


def test_a_name_never_falls_back():
    with pytest.raises(NotImplementedError, match=r"op: .*'fast' \(no 3\)"):
        dispatch("op", TABLE, "fast", 3)


def test_a_sequence_is_tried_in_its_own_order():
    assert dispatch("op", TABLE, ("fast", "xla"), 3) == ("xla", 3)
    assert dispatch("op", TABLE, ("xla", "broken"), 3) == ("xla", 3)
    with pytest.raises(NotImplementedError, match="fast"):
        dispatch("op", TABLE, ["fast"], 3)


def test_only_not_implemented_means_elsewhere():
    with pytest.raises(ValueError, match="broken"):
        dispatch("op", TABLE, ("broken", "xla"), 3)


@pytest.mark.parametrize("implementation", ["xlaa", ("xla", "xlaa")])
def test_unknown_name_gets_the_nearest(implementation):
    with pytest.raises(ValueError, match=r"op: `implementation` .* did you mean 'xla'\?"):
        dispatch("op", TABLE, implementation, 3)


def test_empty_sequence_is_an_error():
    with pytest.raises(ValueError, match="at least one of 'fast'"):
        dispatch("op", TABLE, (), 3)
