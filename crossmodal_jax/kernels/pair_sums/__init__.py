"""Sums over the pairs of two sides, of which losses between them are made."""

from crossmodal_jax.kernels.pair_sums._api import label_log_sums as label_log_sums
from crossmodal_jax.kernels.pair_sums._api import log_sums as log_sums
from crossmodal_jax.kernels.pair_sums._api import softplus_sums as softplus_sums
from crossmodal_jax.kernels.pair_sums._by_rows import by_rows as by_rows
from crossmodal_jax.kernels.pair_sums._sides import LabelLogSums as LabelLogSums
from crossmodal_jax.kernels.pair_sums._sides import LogSums as LogSums
from crossmodal_jax.kernels.pair_sums._sides import SoftplusSums as SoftplusSums
