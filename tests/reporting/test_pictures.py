"""Small pictures keep their ink."""

import base64
import io

import numpy as np
from matplotlib.image import imread

from crossmodal_jax.reporting._pictures import picture_uri


def test_ink_becomes_opacity_of_black():
    picture = np.asarray([[0.0, 1.0, 0.5], [-3.0, 7.0, 0.25]], np.float32)
    uri = picture_uri(picture)
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    pixels = imread(io.BytesIO(data), format="png")
    assert pixels.shape == (2, 3, 4)
    np.testing.assert_array_equal(pixels[..., :3], 0)
    np.testing.assert_allclose(pixels[..., 3], np.clip(picture, 0, 1), atol=1 / 255)
