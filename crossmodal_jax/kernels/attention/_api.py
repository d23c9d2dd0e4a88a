"""Attention: checks of the arguments, cleaning of the keys and choice of the implementation."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.kernels._dispatch import dispatch
from crossmodal_jax.kernels.attention import _cudnn, _jax, _xla
from crossmodal_jax.numerics import zero_absent

_IMPLEMENTATIONS = {
    "cudnn": _cudnn.attention,
    "jax": _jax.attention,
    "xla": _xla.attention,
}
# The path of JAX does the same work as "xla", and fails where a device lacks its product of halves.
_DEFAULT = ("cudnn", "xla")


def attention(
    query: Float[ArrayLike, "*batch t heads head_dim"],
    key: Float[ArrayLike, "*batch s heads head_dim"],
    value: Float[ArrayLike, "*batch s heads head_dim"],
    *,
    where: Bool[ArrayLike, "..."] | None = None,
    scale: float | None = None,
    implementation: str | Sequence[str] | None = None,
) -> Float[Array, "*batch t heads head_dim"]:
    """Scaled dot-product attention over the keys that exist.

    For every head, outᵢ = Σⱼ pᵢⱼ valueⱼ, where pᵢ is the softmax of scale · ⟨queryᵢ, keyⱼ⟩ over
    the keys j with `where[j]`. A query for which no key exists gets zeros, with gradient 0. What a
    key or value that does not exist holds, NaN included, changes nothing.

    Args:
      query: Queries, shape [*batch, t, heads, head_dim].
      key: Keys, shape [*batch, s, heads, head_dim].
      value: Values, the shape of `key`.
      where: True where a key exists, a shape that broadcasts to [*batch, s]; None if all do. One
        mask serves the padding of sequences and the absence of whole modalities.
      scale: Factor of the dot products; None for 1/√head_dim.
      implementation: `"xla"`, the definition; `"jax"`, `jax.nn.dot_product_attention`, whose
        softmax is float32 and which therefore refuses float64, for comparison; `"cudnn"`, the
        fused kernel of NVIDIA GPUs for float16 and bfloat16, which never stores the weights p;
        or a sequence of them. None is `"cudnn"` where that is legal, else `"xla"`.

    Returns:
      The attended values, shape [*batch, t, heads, head_dim], in the dtype of the arguments. The
      softmax is computed in float32 at least.

    Raises:
      ValueError: If the shapes disagree or `implementation` is unknown.
      TypeError: If the arrays are not of one floating dtype, or `where` is not boolean.
      NotImplementedError: If the implementation asked for cannot run here.

    Examples:
      >>> import jax.numpy as jnp
      >>> query = jnp.zeros((1, 1, 1))  # one token, one head of width one: all keys weigh the same
      >>> key = value = jnp.array([1.0, 3.0, jnp.nan]).reshape(3, 1, 1)
      >>> print(attention(query, key, value, where=jnp.array([True, True, False])).item())
      2.0

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_, 2017,
      section 3.2.1.
    """
    query, key, value = jnp.asarray(query), jnp.asarray(key), jnp.asarray(value)
    _check_arrays(query, key, value)
    where = _check_keys(where, key)
    if where is not None:
        # Before any arithmetic: 0 * NaN in the gradient would reach the kept keys.
        key, value = zero_absent(key, where), zero_absent(value, where)
    if key.shape[-3] == 0:
        return jnp.zeros_like(query)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    order = _DEFAULT if implementation is None else implementation
    return dispatch("attention", _IMPLEMENTATIONS, order, query, key, value, where, scale)


def _check_arrays(query: Array, key: Array, value: Array) -> None:
    dtypes = {x.dtype for x in (query, key, value)}
    if len(dtypes) > 1 or not jnp.issubdtype(query.dtype, jnp.floating):
        raise TypeError(
            "attention: `query`, `key` and `value` must be of one floating dtype, got "
            f"{query.dtype}, {key.dtype} and {value.dtype}; convert them with x.astype."
        )
    if (
        query.ndim < 3
        or key.shape != value.shape
        or query.shape[:-3] != key.shape[:-3]
        or query.shape[-2:] != key.shape[-2:]
    ):
        raise ValueError(
            "attention: `query` must be [*batch, t, heads, head_dim], `key` and `value` must be "
            f"[*batch, s, heads, head_dim], got query.shape={query.shape}, key.shape={key.shape} "
            f"and value.shape={value.shape}; split the features into heads first."
        )


def _check_keys(where: ArrayLike | None, key: Array) -> Bool[Array, "*batch s"] | None:
    if where is None:
        return None
    where = jnp.asarray(where)
    if where.dtype != jnp.bool_:
        raise TypeError(
            f"attention: `where` must be boolean (True = the key exists), got {where.dtype}; "
            "convert it with where.astype(bool)."
        )
    try:
        return jnp.broadcast_to(where, key.shape[:-2])
    except ValueError:
        raise ValueError(
            f"attention: `where` must broadcast to [*batch, s] = {key.shape[:-2]}, got "
            f"where.shape={where.shape}; it has one entry per key."
        ) from None
