"""Where the right answers of a retrieval rank, by counting."""

from crossmodal_jax.kernels.ranks._api import rank_counts as rank_counts
from crossmodal_jax.kernels.ranks._xla import RankCounts as RankCounts
