"""What the tests of sums over pairs share."""

import jax.numpy as jnp
import numpy as np

# Rows of either side, and slabs that do and do not divide them.
SIZES = [(1, 1, 4), (2, 3, 1), (7, 7, 4), (128, 128, 32), (129, 130, 32), (257, 257, 256)]


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def case(n, m, seed=0):
    """Unit rows, of which those that match are alike; masks; a generator of cotangents."""
    rng = np.random.default_rng(seed)
    y = unit(rng.normal(size=(m, 6)))
    x = unit(y[:n] + 0.5 * rng.normal(size=(n, 6)))
    return x, y, (rng.uniform(size=n) < 0.8, rng.uniform(size=m) < 0.8), rng


def inputs(x, y, dtype):
    """Both sides in a dtype, and those numbers in float64."""
    given = [jnp.asarray(z, dtype) for z in (x, y)]
    return given, [np.asarray(z, np.float64) for z in given]


def filled(x, y, masks, payload):
    """Both sides in float32 with something else in the rows that are dropped."""
    sides = zip((x, y), masks, strict=True)
    return [np.where(m[:, None], z, payload).astype(np.float32) for z, m in sides]


def assert_close(got, expected, tolerance, tolerance_of_gradients=None):
    """Compares values, and gradients relative to the sums of the sizes of their terms."""
    (values, gradients), (exact, slopes, sizes) = got, expected
    for mine, theirs in zip(values, exact, strict=True):
        # The logarithm of a number near 1 has the absolute error of that number.
        limit = tolerance * max(np.max(np.abs(theirs)), 0.1)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=limit)
    for mine, theirs, size in zip(gradients, slopes, sizes, strict=True):
        limit = (tolerance_of_gradients or tolerance) * np.max(np.abs(size))
        np.testing.assert_allclose(np.asarray(mine, np.float64), theirs, rtol=0, atol=limit)
