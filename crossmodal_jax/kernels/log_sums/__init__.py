"""Log-sums of exponentials over the rows and the columns of a matrix of scaled scores."""

from crossmodal_jax.kernels.log_sums._api import log_sums as log_sums
from crossmodal_jax.kernels.log_sums._xla import LogSums as LogSums
