"""The command `crossmodal-jax <verb>`."""

from crossmodal_jax.cli._main import main as main
