import numpy as np

from crossmodal_jax.data import _outlines


def bezier(p0, p1, p2, t):
    return (1 - t) ** 2 * p0 + 2 * t * (1 - t) * p1 + t**2 * p2


def oracle(vertices, codes):
    """Command by command, as a pen would."""
    points, start, at, i = [], None, None, 0
    while i < len(codes):
        vertex = vertices[i]
        if codes[i] == 1:
            start = at = vertex
            points.append([*at, 0])
        elif codes[i] == 2:
            at = vertex
            points.append([*at, 1])
        elif codes[i] == 3:
            i += 1
            points += [[*bezier(at, vertex, vertices[i], t), 1] for t in (1 / 3, 2 / 3, 1)]
            at = vertices[i]
        elif codes[i] == 79 and (at != start).any():
            at = start
            points.append([*at, 1])
        i += 1
    return np.array(points)


def random_path(rng):
    codes = []
    for _ in range(rng.integers(1, 4)):
        codes.append(1)
        for kind in rng.integers(0, 2, size=rng.integers(1, 6)):
            codes += [3, 3] if kind else [2]
        codes.append(79)
    vertices = rng.normal(size=(len(codes), 2))
    vertices[np.array(codes) == 79] = 0
    if rng.random() < 0.5:  # the last command before closing returns to the start
        vertices[len(codes) - 2] = vertices[np.flatnonzero(np.array(codes) == 1)[-1]]
    return vertices, np.array(codes)


def test_flatten_matches_a_pen():
    rng = np.random.default_rng(0)
    paths = [random_path(rng) for _ in range(50)]
    points, lengths = _outlines.flatten_outlines([v for v, _ in paths], [c for _, c in paths])
    expected = [oracle(*path) for path in paths]
    np.testing.assert_array_equal(lengths, [len(e) for e in expected])
    np.testing.assert_allclose(points, np.concatenate(expected), atol=1e-12)


def test_pad_keeps_short_ones_and_thins_long_ones():
    rng = np.random.default_rng(1)
    long, short = rng.normal(size=(100, 3)), rng.normal(size=(7, 3))
    long[:, 2], short[:, 2] = 1, 1
    ups = [0, 13, 14, 60]
    long[ups, 2] = 0
    lengths = np.array([100, 7])
    points, where = _outlines.pad_outlines(np.concatenate([long, short]), lengths, max_points=20)
    assert points.shape == (2, 20, 3)
    np.testing.assert_array_equal(where.sum(axis=1), [20, 7])
    np.testing.assert_array_equal(points[1, :7], short.astype(np.float32))
    assert (points[1, 7:] == 0).all()
    rows = [np.flatnonzero((long.astype(np.float32) == p).all(axis=1)).item() for p in points[0]]
    assert rows == sorted(set(rows))  # a subsequence, nothing twice
    assert set(ups) <= set(rows)
    assert rows[-1] == 99
