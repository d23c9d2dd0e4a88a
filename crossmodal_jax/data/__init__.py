"""Named datasets, files in, a stateless sampler, and prefetching to the device."""

from crossmodal_jax.data._dataset import Dataset as Dataset
from crossmodal_jax.data._files import load_npz as load_npz
from crossmodal_jax.data._glyphs import glyphs as glyphs
from crossmodal_jax.data._prefetch import prefetch as prefetch
from crossmodal_jax.data._sampler import sample_rows as sample_rows
