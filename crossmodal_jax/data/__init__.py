"""Named datasets, files in, a stateless sampler, and prefetching to the device."""

from crossmodal_jax.data._dataset import Dataset as Dataset
from crossmodal_jax.data._glyphs import glyphs as glyphs
