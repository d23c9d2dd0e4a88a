"""Attention of queries to the keys that exist."""

from crossmodal_jax.kernels.attention._api import attention as attention
