"""What streamed sums share: slabs of rows of the logits, and the way back from their slopes.

A slab of rows of x is compared with all rows of y, and no more of the logits than that exists. In
the backward pass a slab is made again, and from its logits z their slope G, with which the parts
dX = s G Y and dY = s Gᵀ X are all that is needed: the slope of s is Σᵢ ⟨xᵢ, (G Y)ᵢ⟩.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax.kernels.pair_sums._sides import Sides, same_label
from crossmodal_jax.numerics import safe_norm

Slopes = tuple[Array, Array, Array, Array]
BLOCK = 512
# exp of it times a million rows, and the inverse of that, are numbers in float32.
_LARGEST = 60.0
# Of the logits of a slab; their slopes take their place, or half as much in bfloat16.
_SLAB_BYTES = 2**24


class Slab(NamedTuple):
    """What belongs to some rows of x; all of them, in slabs, have a leading axis more."""

    x: Float[Array, "*k block d"]
    keep: Bool[Array, "*k block"]
    match: Any
    exclude: Any
    label: Any


class Tiles(NamedTuple):
    """The sides, y in the dtype of the products and x in slabs."""

    slabs: Slab
    y: Float[Array, "m d"]
    keep_y: Bool[Array, "m"]
    label_y: Any
    scale: Float[Array, ""]
    bias: Float[Array, ""]

    def logits(self, slab: Slab) -> Float[Array, "block m"]:
        """Logits of a slab, −inf where they are not compared."""
        z = self.scale * product(self.rows(slab), self.y) + self.bias
        return jnp.where(self.compared(slab), z, -jnp.inf)

    def rows(self, slab: Slab) -> Float[Array, "block d"]:
        """Rows of x in the dtype of the products: no copy of all of them is made."""
        return slab.x.astype(self.y.dtype)

    def compared(self, slab: Slab) -> Bool[Array, "block m"]:
        """True where both are kept and the pair is not excluded."""
        both = slab.keep[:, None] & self.keep_y
        return both if slab.exclude is None else both & ~self.is_at(slab.exclude)

    def is_at(self, columns: Int[Array, "block"]) -> Bool[Array, "block m"]:
        """True in the one column of each row that is given."""
        return jnp.arange(len(self.keep_y)) == columns[:, None]

    def same_label(self, slab: Slab) -> Bool[Array, "block m"]:
        """True where the labels agree and the two are compared."""
        return same_label(slab.label, self.label_y) & self.compared(slab)


def rows_of_a_slab(sides: Sides, block: int) -> int:
    """At most `block` rows, fewer where a row is long."""
    num, width = sides.x.shape[0], sides.y.shape[0]
    # And who matches or is left out, if that is asked; results that are narrow themselves leave
    # no room that sums in float32 could use.
    masks = sides.labels is not None or sides.exclude is not None
    narrow = sides.x.dtype != sides.scale.dtype
    size = sides.scale.dtype.itemsize * (1 + masks + narrow)
    least = -(-num // max(1, min(block, _SLAB_BYTES // (size * width))))
    # A few more slabs, if those are even: then nothing is padded, and no copy made.
    num_slabs = next((k for k in range(least, 2 * least) if num % k == 0), least)
    return -(-num // num_slabs)


def tiles_of(sides: Sides, block: int, precision: jnp.dtype) -> Tiles:
    """The sides with x in slabs of `block` rows."""
    label_x, label_y = sides.labels or (None, None)
    rows = Slab(sides.x, sides.keep_x, sides.match, sides.exclude, label_x)
    slabs = jax.tree.map(lambda v: in_slabs(v, block), rows)
    y = sides.y.astype(precision)
    return Tiles(slabs, y, sides.keep_y, label_y, sides.scale, sides.bias)


def moderate(sides: Sides) -> Bool[Array, ""]:
    """Whether no logit can be so large that its exponential has to be taken relative to another."""
    longest = [jnp.max(safe_norm(wide(z), axis=1), initial=0) for z in (sides.x, sides.y)]
    return jnp.abs(sides.scale) * longest[0] * longest[1] <= _LARGEST


def in_slabs(rows: Array, block: int) -> Array:
    """Rows in slabs of `block`, after the last one zeros, which are dropped rows."""
    rows = jnp.pad(rows, [(0, -rows.shape[0] % block)] + [(0, 0)] * (rows.ndim - 1))
    return rows.reshape(-1, block, *rows.shape[1:])


def matches(z: Float[Array, "block m"], slab: Slab) -> Float[Array, "block"]:
    """The very numbers that the sums contain: what rounding did to them cancels in a loss."""
    return jnp.take_along_axis(z, slab.match[:, None], axis=1)[:, 0]


def pull(
    sides: Sides,
    tiles: Tiles,
    slope_of: Callable[..., Array],
    *per_row: Float[Array, "k block"],
    look: Callable[[Array, Slab], Any] = lambda _z, _slab: None,
    dtype: jnp.dtype | None = None,
) -> tuple[Slopes, Any]:
    """Slopes of x, y, scale and bias from those of the logits; and what `look` sees of those.

    `slope_of(z, slab, *per_row)` gives the slopes of the logits of a slab, in float32: a slope of
    nearly −1 plus a share of nearly 1 is lost in bfloat16. The slopes of x and y come in `dtype`,
    None for that of x and y.
    """

    def step(state: tuple[Array, ...], part: Any) -> tuple[tuple[Array, ...], Any]:
        dy, d_scale, d_bias = state
        slab, rest = part
        z = tiles.logits(slab)
        g = slope_of(z, slab, *rest)
        d_bias += jnp.sum(g)
        g = g.astype(tiles.y.dtype)
        x, dx = tiles.rows(slab), combine(g, tiles.y)
        d_scale += jnp.sum(wide(x) * dx)
        dx = (sides.scale * dx).astype(dtype or sides.x.dtype)
        return (dy + combine(_transposed(x), g), d_scale, d_bias), (dx, look(z, slab))

    # Inside `shard_map` what starts as zeros varies as the sides do.
    zero = jnp.zeros_like(sides.scale)
    start = jnp.zeros_like(tiles.y.T, zero.dtype), zero, zero
    (dy, d_scale, d_bias), (dx, seen) = jax.lax.scan(step, start, (tiles.slabs, per_row))
    dx = dx.reshape(-1, dx.shape[-1])[: sides.x.shape[0]]
    dy = (sides.scale * dy).astype(dtype or sides.y.dtype).T
    return (dx, dy, d_scale, d_bias), seen


def slopes_of(sides: Sides, slopes: Slopes) -> Sides:
    """What a backward pass returns: `slopes`, and none of what is boolean or whole."""
    none: Any = jax.tree.map(lambda v: np.zeros(v.shape, jax.dtypes.float0), sides[4:])
    return Sides(*slopes, *none)


def product(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> Float[Array, "n m"]:
    """X·Yᵀ, accumulated in float32 at least."""
    return _contract(x, y, 1, 1)


def combine(weights: Float[Array, "n m"], y: Float[Array, "m d"]) -> Float[Array, "n d"]:
    """W·Y, sums of the rows of y, accumulated in float32 at least."""
    return _contract(weights, y, 1, 0)


def wide(x: Array) -> Array:
    """Returns `x` in float32 at least."""
    return x.astype(np.promote_types(x.dtype, jnp.float32))


def _transposed(x: Float[Array, "n d"]) -> Float[Array, "d n"]:
    """A transposed copy, in two pieces.

    XLA would fold a transpose into the product after it, and has no fast form of Xᵀ·Y for CPUs: in
    bfloat16 it takes twice as long.
    """
    half = len(x) // 2
    return jnp.concatenate([x[:half].T, x[half:].T], axis=1)


def _contract(x: Array, y: Array, axis_x: int, axis_y: int) -> Array:
    return jax.lax.dot_general(
        x,
        y,
        (((axis_x,), (axis_y,)), ((), ())),
        # Operands that are float32 are meant to be; no accelerator is to shorten them.
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=np.promote_types(x.dtype, jnp.float32),
    )
