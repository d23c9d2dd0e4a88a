"""Operations with several implementations behind one function, and the dispatcher among them."""

from crossmodal_jax.kernels._dispatch import dispatch as dispatch
from crossmodal_jax.kernels.attention import attention as attention
from crossmodal_jax.kernels.pair_sums import LabelLogSums as LabelLogSums
from crossmodal_jax.kernels.pair_sums import LogSums as LogSums
from crossmodal_jax.kernels.pair_sums import SoftplusSums as SoftplusSums
from crossmodal_jax.kernels.pair_sums import by_rows as by_rows
from crossmodal_jax.kernels.pair_sums import label_log_sums as label_log_sums
from crossmodal_jax.kernels.pair_sums import log_sums as log_sums
from crossmodal_jax.kernels.pair_sums import softplus_sums as softplus_sums
from crossmodal_jax.kernels.ranks import RankCounts as RankCounts
from crossmodal_jax.kernels.ranks import rank_counts as rank_counts
from crossmodal_jax.kernels.transport import Sinkhorn as Sinkhorn
from crossmodal_jax.kernels.transport import sinkhorn as sinkhorn
