"""How a module keeps the weights of an operator: each array a parameter, the structure as it is."""

import jax
from flax import nnx

from crossmodal_jax._typing import PyTree


def store(weights: PyTree) -> PyTree:
    """Returns `weights` with a parameter for each array, to be an attribute of a module."""
    return nnx.data(jax.tree.map(nnx.Param, weights))


def load(stored: PyTree) -> PyTree:
    """Returns the weights that `store` took, as plain arrays."""

    def is_param(leaf: object) -> bool:
        return isinstance(leaf, nnx.Variable)

    return jax.tree.map(lambda param: param[...], stored, is_leaf=is_param)
