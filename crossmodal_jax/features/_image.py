"""Pictures into features: histograms of oriented gradients."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from crossmodal_jax._typing import ArrayLike


def hog(
    images: Float[ArrayLike, "*batch h w"],
    *,
    orientations: int = 8,
    cell: int = 8,
    block: int = 2,
    eps: float = 1e-5,
) -> Float[Array, "*batch d"]:
    """Histograms of oriented gradients of grey pictures.

    With g the central-difference gradient (0 at the border), each pixel gives its
    magnitude |g| to the two orientation bins nearest to its angle, linearly; angles are
    unsigned (modulo π) and bin o is centred at oπ/O, so that an upright edge votes for bin 0
    alone. A histogram h is the mean over one cell; each window of `block`×`block` cells is
    then normalised by L2-Hys: v = h/√(‖h‖² + ε²), v ← min(v, 0.2), v/√(‖v‖² + ε²).

    The layout and the constants are scikit-image's; that library gives each pixel to the
    one bin [oπ/O, (o+1)π/O), which jumps with the angle, where this function is continuous.
    Unlike the paper, a vote is not shared between neighbouring cells.

    Args:
      images: Pictures, shape [*batch, h, w]. Rows and columns beyond the last whole cell
        give no vote.
      orientations: Number O ≥ 2 of bins over half a turn.
      cell: Side of a cell in pixels.
      block: Side of a normalisation window in cells.
      eps: ε of the normalisation; a flat picture gives zeros.

    Returns:
      Features, shape [*batch, d] with d = (h//cell − block + 1)·(w//cell − block + 1)·
      block²·O, ordered as window row, window column, row in window, column in window,
      orientation. At least float32.

    Raises:
      ValueError: If a picture holds no whole window, or an option is out of range.

    Examples:
      >>> import jax.numpy as jnp
      >>> stripes = jnp.tile(jnp.sin(jnp.arange(32.0)), (32, 1))
      >>> features = hog(stripes)
      >>> features.shape
      (288,)
      >>> print(features[:8].round(3))  # upright stripes: one of four cells of the first window
      [0.5 0.  0.  0.  0.  0.  0.  0. ]

    References:
      Dalal and Triggs, `Histograms of Oriented Gradients for Human Detection
      <https://doi.org/10.1109/CVPR.2005.177>`_, 2005.
    """
    images = jnp.asarray(images)
    if orientations < 2 or cell < 1 or block < 1:
        raise ValueError(
            "hog: `orientations` must be at least 2, `cell` and `block` at least 1, got "
            f"orientations={orientations}, cell={cell}, block={block}."
        )
    if images.ndim < 2 or min(images.shape[-2:]) < cell * block:
        raise ValueError(
            "hog: `images` must be [*batch, h, w] with h and w at least cell * block = "
            f"{cell * block}, got images.shape={images.shape}; resize the pictures or take "
            "smaller cells."
        )
    images = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    votes = _orientation_votes(*_gradient(images), orientations)
    return _normalized_blocks(_cell_means(votes, cell), block, eps)


def _gradient(images: Array) -> tuple[Array, Array]:
    """Central differences along rows and columns, not halved, 0 at the border."""
    batch = [(0, 0)] * (images.ndim - 2)
    down = jnp.pad(images[..., 2:, :] - images[..., :-2, :], [*batch, (1, 1), (0, 0)])
    right = jnp.pad(images[..., :, 2:] - images[..., :, :-2], [*batch, (0, 0), (1, 1)])
    return down, right


def _orientation_votes(down: Array, right: Array, orientations: int) -> Array:
    """Magnitude shared by the two nearest bins, [*batch, h, w] -> [*batch, h, w, o]."""
    squared = down**2 + right**2
    flat = squared == 0  # neither the root nor the angle has a gradient there
    magnitude = jnp.where(flat, 0, jnp.sqrt(jnp.where(flat, 1, squared)))
    angle = jnp.arctan2(jnp.where(flat, 0, down), jnp.where(flat, 1, right))
    position = jnp.mod(angle, math.pi) * (orientations / math.pi)
    bins = jnp.arange(orientations, dtype=position.dtype)
    distance = jnp.abs(position[..., None] - bins)
    distance = jnp.minimum(distance, orientations - distance)  # bins lie on a circle
    return magnitude[..., None] * jnp.maximum(1 - distance, 0)


def _cell_means(votes: Array, cell: int) -> Array:
    """Mean over whole cells, [*batch, h, w, o] -> [*batch, h//cell, w//cell, o]."""
    *batch, height, width, orientations = votes.shape
    rows, columns = height // cell, width // cell
    votes = votes[..., : rows * cell, : columns * cell, :]
    return votes.reshape(*batch, rows, cell, columns, cell, orientations).mean((-4, -2))


def _normalized_blocks(cells: Array, block: int, eps: float) -> Array:
    """L2-Hys over every window of cells, flattened to [*batch, d]."""
    *batch, rows, columns, orientations = cells.shape
    rows, columns = rows - block + 1, columns - block + 1
    windows = jnp.stack(
        [cells[..., i : i + rows, j : j + columns, :] for i in range(block) for j in range(block)],
        axis=-2,
    )
    windows = windows.reshape(*batch, rows * columns, block * block * orientations)

    def unit(v: Array) -> Array:
        return v * jax.lax.rsqrt(jnp.sum(v**2, axis=-1, keepdims=True) + eps**2)

    windows = unit(jnp.minimum(unit(windows), 0.2))
    return windows.reshape(*batch, rows * columns * block * block * orientations)
