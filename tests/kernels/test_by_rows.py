"""Functions of rows in slabs: the same as at once, value and derivatives, whatever is left over."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from crossmodal_jax.kernels import by_rows


def example(x, y, keep, *, sizes=None):
    """Results of rows and totals that are no linear functions of either side."""

    def of_rows(rows):
        x, keep = rows["x"], rows["keep"]
        if sizes is not None:
            sizes.append(len(x))
        z = jnp.where(keep[:, None], jnp.sin(x @ y.T), 0)
        # A division by the norm: rows of zeros in the place of missing ones would give NaN.
        unit = x / jnp.sqrt(jnp.sum(x * x, axis=1, keepdims=True))
        return {"largest": jnp.max(z, axis=1), "unit": unit}, (jnp.sum(z**2, axis=0),)

    return by_rows(of_rows, {"x": x, "keep": keep}, num_columns=len(y))


# At most 8 rows: seven, and a rest of five. At most 16: eleven, and no rest.
@pytest.mark.parametrize(("n", "rows", "expected"), [(33, 8, {7, 5}), (33, 16, {11}), (5, 1, {1})])
def test_slabs_are_what_all_rows_at_once_are(n, rows, expected, slabs, x64):
    rng = np.random.default_rng(n)
    x, y, dx = (jnp.asarray(rng.normal(size=(k, 3))) for k in (n, 6, n))
    keep = jnp.asarray(rng.random(n) < 0.8)

    def both(x, y, sizes=None):
        found = example(x, y, keep, sizes=sizes)
        weights = jax.tree.map(lambda v: jnp.cos(jnp.arange(v.size).reshape(v.shape)), found)
        return sum(jax.tree.leaves(jax.tree.map(lambda v, w: jnp.sum(v * w), found, weights)))

    def run():
        sizes = []

        @jax.jit
        def derivatives(x, y):
            forward = jax.jvp(lambda x: both(x, y), (x,), (dx,))[1]
            return jax.value_and_grad(both, (0, 1))(x, y, sizes), forward, example(x, y, keep)

        return derivatives(x, y), set(sizes)

    whole, sizes = run()
    assert sizes == {n}
    slabs(6 * rows)
    sliced, sizes = run()
    assert sizes == expected
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12), sliced, whole)
    (_, slopes), forward, _ = sliced
    np.testing.assert_allclose(forward, np.sum(slopes[0] * dx), rtol=1e-10)


def test_few_scores_are_not_looped_over():
    def program(n):
        of_rows = lambda x: (jnp.sum(x @ x.T, axis=1), None)
        return str(jax.make_jaxpr(lambda x: by_rows(of_rows, x, num_columns=n))(jnp.ones((n, 1))))

    assert "scan" not in program(1448)
    assert "scan" in program(1449)


def test_rows_on_eight_devices(slabs, x64):
    slabs(3 * 6)
    x, y = np.random.default_rng(0).normal(size=(2, 24, 3))
    keep = np.ones(24, bool)
    expected = jax.jit(example)(x, y[:6], keep)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.device_put((x, keep), jax.NamedSharding(mesh, jax.P("data")))
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-12)
    jax.tree.map(close, jax.jit(example)(rows[0], y[:6], rows[1]), expected)

    @jax.jit
    @functools.partial(jax.shard_map, mesh=mesh, in_specs=jax.P("data"), out_specs=jax.P("data"))
    def on_each(x, keep):
        slabs(6)
        found, totals = example(x, y[:6], keep)
        return found, jax.tree.map(lambda v: v[None], totals)

    found, totals = on_each(*rows)
    jax.tree.map(close, found, expected[0])
    jax.tree.map(lambda v, w: close(v.sum(0), w), totals, expected[1])


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(
        ValueError, match=r"by_rows: `rows` must .*, got shapes \[\(3, 2\), \(4,\)\]"
    ):
        by_rows(lambda rows: (rows, None), (jnp.ones((3, 2)), jnp.ones(4)), num_columns=1)
    with pytest.raises(ValueError, match=r"by_rows: `rows` must .*, got shapes \[\]; close"):
        by_rows(lambda rows: (rows, None), (), num_columns=1)
    with pytest.raises(ValueError, match=r"by_rows: `rows` must .*, got shapes \[\(\)\]"):
        by_rows(lambda rows: (rows, None), jnp.ones(()), num_columns=1)
