"""Glyph outlines as pen trajectories: curves flattened, padded to one length with a mask."""

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

# Codes of a path command, as FreeType outlines are decomposed by matplotlib.
_MOVE, _LINE, _CURVE, _CLOSE = 1, 2, 3, 79
_STEPS_PER_CURVE = 3


def flatten_outlines(
    vertices: list[Float[np.ndarray, "_ 2"]], codes: list[Integer[np.ndarray, "_"]]
) -> tuple[Float[np.ndarray, "m 3"], Int[np.ndarray, "n"]]:
    """Turns paths of lines and quadratic curves into points (x, y, pen down).

    The curve from p₀ to p₂ with control point p₁ is (1−t)² p₀ + 2t(1−t) p₁ + t² p₂; it is sampled
    at t = 1/3, 2/3, 1. A closed contour ends where it began. Moving to a contour is pen up (0).

    Args:
      vertices: Vertices of each path, in the order of its commands.
      codes: Command of each vertex.

    Returns:
      The points of all paths one after the other, and the number of points of each path.
    """
    owner = np.repeat(np.arange(len(codes)), [len(c) for c in codes])
    point, code = np.concatenate(vertices), np.concatenate(codes)
    start = np.maximum.accumulate(np.where(code == _MOVE, np.arange(len(code)), 0))
    # Every command emits its end, a curve also the points between; a curve has two vertices.
    end = np.where((code == _CLOSE)[:, None], point[start], point)
    control, target = np.flatnonzero(code == _CURVE).reshape(-1, 2).T
    t = (np.arange(1, _STEPS_PER_CURVE)[:, None, None]) / _STEPS_PER_CURVE
    between = (
        (1 - t) ** 2 * end[control - 1] + 2 * t * (1 - t) * point[control] + t**2 * point[target]
    )
    emitted = np.ones(len(code), bool)
    emitted[control] = False
    # A contour that is already back at its start needs no closing line.
    closed = np.flatnonzero(code == _CLOSE)
    emitted[closed[(end[closed] == end[closed - 1]).all(axis=1)]] = False
    kept = np.flatnonzero(emitted)
    # Sort by (command, step within it): the points between two vertices precede their end.
    order = np.argsort(np.concatenate([kept, *[target - 1 + s for s in t[:, 0, 0]]]), kind="stable")
    xy = np.concatenate([end[kept], *between])[order]
    whose = np.concatenate([owner[kept], *[owner[target]] * (_STEPS_PER_CURVE - 1)])[order]
    down = np.concatenate([code[kept] != _MOVE, np.ones(between.shape[0] * len(target), bool)])
    lengths = np.bincount(whose, minlength=len(codes))
    return np.column_stack([xy, down[order]]), lengths


def pad_outlines(
    points: Float[np.ndarray, "m 3"], lengths: Int[np.ndarray, "n"], *, max_points: int
) -> tuple[Float[np.ndarray, "n t 3"], Bool[np.ndarray, "n t"]]:
    """Pads trajectories to a common length; longer ones than `max_points` are thinned evenly.

    Thinning keeps every pen-up, so that contours stay apart, and the first and last of the rest.

    Args:
      points: All points (x, y, pen down), one trajectory after the other.
      lengths: Number of points of each trajectory.
      max_points: Longest trajectory to keep whole.

    Returns:
      Points [n, t, 3], float32, zero where padded, and their mask [n, t].
    """
    stops = np.cumsum(lengths)
    pieces = [
        _thin(points[stop - length : stop], max_points)
        for stop, length in zip(stops, lengths, strict=True)
    ]
    kept = np.array([len(piece) for piece in pieces])
    where = np.arange(kept.max()) < kept[:, None]
    padded = np.zeros((*where.shape, 3), np.float32)
    padded[where] = np.concatenate(pieces)
    return padded, where


def _thin(points: np.ndarray, max_points: int) -> np.ndarray:
    if len(points) <= max_points:
        return points
    up, drawn = np.flatnonzero(points[:, 2] == 0), np.flatnonzero(points[:, 2])
    even = np.linspace(0, len(drawn) - 1, max_points - len(up)).round().astype(int)
    return points[np.sort(np.concatenate([up, drawn[even]]))]
