from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from crossmodal_jax.features import hog


def hog_loops(image, orientations, cell, block, eps=1e-5):
    """The definition, one pixel after the other, in float64."""
    image = np.asarray(image, np.float64)
    height, width = image.shape
    cells = np.zeros((height // cell, width // cell, orientations))
    for r in range(cells.shape[0] * cell):
        for c in range(cells.shape[1] * cell):
            down = image[r + 1, c] - image[r - 1, c] if 0 < r < height - 1 else 0.0
            right = image[r, c + 1] - image[r, c - 1] if 0 < c < width - 1 else 0.0
            degrees = np.rad2deg(np.arctan2(down, right)) % 180
            position = degrees / (180 / orientations)
            low = int(np.floor(position))
            for o, share in ((low, low + 1 - position), (low + 1, position - low)):
                vote = np.hypot(down, right) * share / cell**2
                cells[r // cell, c // cell, o % orientations] += vote
    features = []
    for r in range(cells.shape[0] - block + 1):
        for c in range(cells.shape[1] - block + 1):
            v = cells[r : r + block, c : c + block].ravel()
            v = np.minimum(v / np.sqrt((v**2).sum() + eps**2), 0.2)
            features.append(v / np.sqrt((v**2).sum() + eps**2))
    return np.concatenate(features)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((32, 32), {}),
        ((19, 26), {"orientations": 9, "cell": 4, "block": 3}),  # rows and columns left over
        ((6, 7), {"orientations": 2, "cell": 3, "block": 1}),
        ((8, 8), {"orientations": 3, "cell": 8, "block": 1}),
    ],
)
def test_hog_matches_the_definition(shape, options):
    images = np.random.default_rng(0).uniform(size=(3, *shape)).astype(np.float32)
    arguments = {"orientations": 8, "cell": 8, "block": 2, **options}
    expected = np.stack([hog_loops(image, **arguments) for image in images])
    got = jax.jit(lambda x: hog(x, **options))(images)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)  # sums of 64 float32


def test_bins_of_known_edges():
    ramp = np.tile(np.arange(16.0, dtype=np.float32), (16, 1))
    image = jnp.stack([ramp, ramp + ramp.T, ramp.T, ramp - ramp.T])
    histograms = jax.jit(partial(hog, orientations=4, cell=16, block=1))(image)
    # Angles 0, 45, 90, 135; the pixels at the border, which see one direction, give a little.
    np.testing.assert_array_equal(histograms > 0.5, np.eye(4, dtype=bool))


def test_orientation_is_unsigned_and_contrast_is_normalised():
    image = np.random.default_rng(1).uniform(size=(32, 32)).astype(np.float32)
    inverted, brighter = 1 - image, 5 * image + 3
    # atol: the differences of 5x + 3 carry the rounding of 8
    expected, got, brightened = jax.jit(hog)(jnp.stack([image, inverted, brighter]))
    np.testing.assert_allclose(got, expected, atol=2e-6)
    np.testing.assert_allclose(brightened, expected, atol=2e-4)


def test_continuous_where_the_angle_wraps():
    ramp = jnp.tile(jnp.arange(8.0), (8, 1))
    tilted = jnp.stack([ramp + 1e-6 * ramp.T, ramp - 1e-6 * ramp.T])  # angles of +0 and 180 degrees
    up, down = jax.jit(partial(hog, block=1))(tilted)
    np.testing.assert_allclose(up, down, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_flat_picture_gives_zeros_and_a_finite_gradient(strict, value):
    flat = jnp.full((16, 16), value)
    assert not jax.jit(hog)(flat).any()
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(hog(x) ** 2 + hog(x))))(flat)
    assert jnp.isfinite(gradient).all()


def test_gradient_is_finite_for_tiny_and_binary_pictures(strict):
    binary = jnp.zeros((16, 16)).at[4:12, 4:12].set(1.0)
    images = jnp.stack([binary, 1e-20 * binary, 1e-25 * binary])
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(hog(x))))(images)
    assert jnp.isfinite(gradient).all()


def test_gradient_matches_differences(x64):
    # The cap at 0.2 and the tips of the bins are kinks: a smooth point avoids them.
    rows, columns = np.mgrid[:6, :6] / 6.0
    image = jnp.asarray(np.sin(5 * rows + 0.3) * np.cos(4 * columns + 0.7))

    @jax.jit
    def features(x):
        return hog(x, orientations=4, cell=3, block=2, eps=1.0)

    assert features(image).dtype == jnp.float64
    check_grads(features, (image,), order=1, modes=["rev"], eps=1e-6)


def test_vmap_batch_dtypes_and_one_compilation():
    images = np.random.default_rng(2).integers(0, 255, size=(2, 3, 16, 16)).astype(np.uint8)
    extract = jax.jit(lambda x: hog(x))  # noqa: PLW0108 -- a cache of its own
    got = extract(images.astype(np.float32))
    assert got.shape == (2, 3, 32)
    extract(images.astype(np.float32))
    assert extract._cache_size() == 1
    mapped = jax.jit(jax.vmap(jax.vmap(hog)))(images.astype(np.float32))
    np.testing.assert_allclose(mapped, got, atol=1e-6)
    np.testing.assert_allclose(mapped[1, 2], extract(images.astype(np.float32)[1, 2]), atol=1e-6)
    assert jax.eval_shape(hog, jnp.asarray(images, jnp.bfloat16)).dtype == jnp.float32


def test_errors_name_shapes_and_remedy(no_jaxtyping):
    with pytest.raises(
        ValueError, match=r"hog: `images` must be .* 16, got images.shape=\(8, 32\)"
    ):
        hog(jnp.zeros((8, 32)))
    with pytest.raises(ValueError, match="got orientations=1"):
        hog(jnp.zeros((32, 32)), orientations=1)
