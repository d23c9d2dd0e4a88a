"""Small pictures inside a page."""

import base64
import io

import numpy as np
from jaxtyping import Float


def picture_uri(picture: Float[np.ndarray, "h w"]) -> str:
    """One picture as a data URI: black ink on nothing, so that the page is the paper.

    Args:
      picture: Amount of ink, shape [h, w]; clipped to [0, 1].

    Returns:
      `data:image/png;base64,…`, the same for the same picture.
    """
    from matplotlib.image import imsave

    pixels = np.zeros((*picture.shape, 4), np.uint8)
    pixels[..., 3] = np.round(255 * np.clip(picture, 0, 1))
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png", metadata={"Software": "crossmodal_jax"})
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
