"""Errors say what, where, expected, got, and one way out."""

import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax import _checks

X, Y = np.ones((4, 2), np.float32), np.ones((4, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: _checks.check_modalities("op", []), ValueError, "op: `xs` must be a sequence"),
        (lambda: _checks.check_modalities("op", X), ValueError, "one array of shape"),
        (
            lambda: _checks.check_modalities("op", [X, np.float32(1)]),
            ValueError,
            "modalities \\[1\\]",
        ),
        (
            lambda: _checks.check_modalities("op", [X, X.astype(int)]),
            TypeError,
            "modalities \\[1\\]",
        ),
        (
            lambda: _checks.check_modalities("op", [X, Y[:3]]),
            ValueError,
            "xs\\[1\\].shape=\\(3, 3\\)",
        ),
        (lambda: _checks.check_present("op", X[:, :2], [X, Y]), TypeError, "must be boolean"),
        (
            lambda: _checks.check_present("op", np.ones((4, 3), bool), [X, Y]),
            ValueError,
            "\\(4, 2\\), got present.shape=\\(4, 3\\)",
        ),
        (lambda: _checks.check_where("op", np.ones(3, bool), (4,)), ValueError, "shape=\\(3,\\)"),
        (lambda: _checks.check_where("op", X[:, 0], (4,)), TypeError, "must be boolean"),
        (lambda: _checks.check_same_shape("op", x=X, y=Y), ValueError, "`x` and `y` must share"),
        (lambda: _checks.check_pairs("op", x=X, y=Y[:3]), ValueError, "y.shape=\\(3, 3\\)"),
        (lambda: _checks.check_pairs("op", x=X, y=Y[0]), ValueError, "must be matrices"),
        (
            lambda: _checks.check_finite("op", x=np.where(np.arange(4)[:, None] == 2, np.nan, X)),
            ValueError,
            "1 of 4 rows \\(first: \\[2\\]\\)",
        ),
        (
            lambda: _checks.check_choice("op", "method", "ridg", ["cca", "ridge"]),
            ValueError,
            "did you mean 'ridge'",
        ),
        (lambda: _checks.require("no_such_module", "cli", "run"), ImportError, "jax\\[cli\\]'"),
    ],
)
def test_error_names_argument_and_remedy(no_jaxtyping, call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_good_arguments_come_back_converted():
    xs = _checks.check_modalities("op", [X, Y])
    assert [x.shape for x in xs] == [(4, 2), (4, 3)]
    assert _checks.check_present("op", None, xs).all()
    one_for_all = _checks.check_present("op", np.array([True, False]), xs)
    np.testing.assert_array_equal(one_for_all, np.tile([True, False], (4, 1)))
    np.testing.assert_array_equal(_checks.check_where("op", None, (4,)), np.ones(4, bool))
    assert all(isinstance(x, jnp.ndarray) for x in _checks.check_pairs("op", x=X, y=Y))
    assert _checks.check_choice("op", "method", "cca", ["cca"]) == "cca"
    assert _checks.nearest("zzz", ["ridge"]) is None
