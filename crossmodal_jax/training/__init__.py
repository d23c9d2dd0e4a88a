"""Training: state, guarded step, compiled fit, sweeps, modality dropout and checkpoints."""

from crossmodal_jax.training._checkpoint import checkpoint_metadata as checkpoint_metadata
from crossmodal_jax.training._checkpoint import latest_checkpoint as latest_checkpoint
from crossmodal_jax.training._checkpoint import restore_checkpoint as restore_checkpoint
from crossmodal_jax.training._checkpoint import save_checkpoint as save_checkpoint
from crossmodal_jax.training._dropout import modality_dropout as modality_dropout
from crossmodal_jax.training._fit import fit as fit
from crossmodal_jax.training._grad_cache import grad_cache as grad_cache
from crossmodal_jax.training._manifest import CheckpointError as CheckpointError
from crossmodal_jax.training._state import TrainState as TrainState
from crossmodal_jax.training._state import init_state as init_state
from crossmodal_jax.training._step import make_train_step as make_train_step
from crossmodal_jax.training._sweep import SweepResult as SweepResult
from crossmodal_jax.training._sweep import hyperparameter_grid as hyperparameter_grid
from crossmodal_jax.training._sweep import sweep as sweep
