"""How much each modality moves a classifier, and the penalty on those that hardly do."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_modalities, check_present, check_where
from crossmodal_jax._typing import ArrayLike


def functional_entropy_loss(
    key: PRNGKeyArray,
    function: Callable[[tuple[Array, ...]], Float[Array, "n c"]],
    xs: Sequence[Float[ArrayLike, "n _"]],
    *,
    noise_scale: Float[ArrayLike, ""] | float | Sequence[Float[ArrayLike, "..."]] = 1.0,
    num_samples: int = 10,
    p: float = 2.0,
    eps: Float[ArrayLike, ""] | float = 1e-6,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Bool[ArrayLike, "n"] | None = None,
) -> Float[Array, ""]:
    """Regulariser by maximal functional entropy: one scalar for the whole batch.

    With z = x + σ ⊙ ε, all modalities perturbed by standard normal ε at once, and
    ℓ(z) = −Σ_c softmax(f(x))_c log softmax(f(z))_c, the functional Fisher information of modality i
    is Iᵢ = E ‖∇_{zᵢ} ℓ(z)‖² / ℓ(z), the mean over samples that have it and over draws of ε. By the
    log-Sobolev inequality it bounds the functional entropy that the modality contributes. The loss
    is ‖(1/(I₁ + eps), …, 1/(I_M + eps))‖_p. Added with a small weight to the loss of the task, it
    keeps the classifier from living on one modality.

    Of all losses this alone takes a function, since it is made of its gradients; training then
    differentiates twice. The function must treat rows independently (no batch
    normalisation), and be finite at the zeros that stand for absent modalities and dropped rows.

    Args:
      key: Random key.
      function: From the modalities, a tuple of arrays as in `xs`, to the logits [n, c].
      xs: The modalities that are perturbed, shapes [n, d_m]. For tokens or pictures take what their
        first layer makes of them.
      noise_scale: σ, a number, or one array per modality that broadcasts to [n, d_m]. The code of
        the authors takes the standard deviations of the features, `[x.std(axis=0) for x in xs]`.
      num_samples: Number of draws of ε, at least 1.
      p: The norm, p ≥ 1.
      eps: What a modality that the function ignores costs, 1/eps, instead of infinity.
      present: True where a sample has the modality, a shape that broadcasts to [n, m]; None if all
        are present. A modality that no kept sample has is left out of the norm.
      where: Samples to keep, shape [n].

    Returns:
      The loss, a scalar, float32 or float64; 0 if nothing is kept.

    Raises:
      ValueError: If the shapes of the modalities, the masks, or the logits disagree, there is not
        one scale per modality, or a number is out of range.
      TypeError: If a modality is not floating point, or a mask is not boolean.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> xs = [jnp.ones((4, 2)), jnp.ones((4, 2))]
      >>> @jax.jit
      ... def loss(share):  # of the second modality in the logits
      ...     logits = lambda xs: (1 - share) * xs[0] + share * xs[1]
      ...     return functional_entropy_loss(jax.random.key(0), logits, xs)
      >>> print(loss(0.5) < loss(0.1))
      True

    References:
      Gat et al., `Removing Bias in Multi-modal Classifiers: Regularization by Maximizing Functional
      Entropies <https://arxiv.org/abs/2010.10802>`_, 2020.
    """
    name = "functional_entropy_loss"
    if num_samples < 1 or p < 1:
        raise ValueError(
            f"{name}: `num_samples` must be at least 1 and `p` at least 1, got {num_samples} and "
            f"{p}; ten draws and p=2 are usual."
        )
    arrays, mask = _check_rows(name, xs, present, where)
    scales = _check_scales(name, noise_scale, arrays)
    clean = tuple(numerics.zero_absent(x, mask[:, m]) for m, x in enumerate(arrays))
    expected = jax.nn.softmax(_logits(name, function, clean))

    def ratios(keys: Array) -> Float[Array, "n m"]:
        noisy = tuple(_perturbed(keys[m], x, scales[m], mask[:, m]) for m, x in enumerate(clean))

        def loss(inputs: tuple[Array, ...]) -> tuple[Array, Array]:
            logits = jax.nn.log_softmax(_logits(name, function, inputs))
            loss = -jnp.sum(expected * logits, axis=-1)
            return jnp.sum(loss), loss

        slopes, value = jax.grad(loss, has_aux=True)(noisy)
        squares = [jnp.sum(s.astype(value.dtype) ** 2, axis=-1) for s in slopes]
        # The gradient of a sure prediction vanishes as its loss does: their ratio has limit 0.
        some = value[:, None] > jnp.finfo(value.dtype).eps ** 2
        return jnp.where(some, jnp.stack(squares, -1) / jnp.where(some, value[:, None], 1), 0)

    keys = jax.random.split(key, (num_samples, len(arrays)))
    information = numerics.masked_mean(jax.vmap(ratios)(keys), mask, axis=(0, 1))
    inverse = 1 / (information + jnp.asarray(eps, information.dtype))
    return _norm(jnp.where(jnp.any(mask, axis=0), inverse, 0), p)


def _perturbed(
    key: PRNGKeyArray, x: Float[Array, "n d"], scale: Array, mask: Bool[Array, "n"]
) -> Float[Array, "n d"]:
    dtype = np.promote_types(x.dtype, np.float32)
    noise = scale.astype(dtype) * jax.random.normal(key, x.shape, dtype)
    return numerics.zero_absent(x.astype(dtype) + noise, mask).astype(x.dtype)


def _norm(x: Float[Array, "m"], p: float) -> Float[Array, ""]:
    """‖x‖_p of numbers ≥ 0, relative to the largest, so that no power overflows."""
    largest = jax.lax.stop_gradient(jnp.max(x))
    some = largest > 0
    total = jnp.sum((x / jnp.where(some, largest, 1)) ** p)
    return largest * jnp.where(some, total, 1) ** (1 / p)


def _logits(name: str, function: Callable[..., Array], xs: tuple[Array, ...]) -> Array:
    logits = jnp.asarray(function(xs))
    if logits.ndim != 2 or logits.shape[0] != xs[0].shape[0]:
        raise ValueError(
            f"{name}: `function` must return logits [n, c] for n = {xs[0].shape[0]} rows, got "
            f"shape {logits.shape}; give one row of logits for each sample."
        )
    return logits.astype(np.promote_types(logits.dtype, np.float32))


def _check_rows(
    name: str, xs: Sequence[ArrayLike], present: ArrayLike | None, where: ArrayLike | None
) -> tuple[tuple[Array, ...], Bool[Array, "n m"]]:
    arrays = check_modalities(name, xs)
    if any(x.ndim != 2 or x.shape[0] != arrays[0].shape[0] for x in arrays):
        raise ValueError(
            f"{name}: `xs` must be matrices [n, d_m] with the same rows, got shapes "
            f"{[x.shape for x in arrays]}; flatten the features of a sample."
        )
    keep = check_where(name, where, arrays[0].shape[:1])
    return arrays, check_present(name, present, arrays) & keep[:, None]


def _check_scales(name: str, scale: object, xs: tuple[Array, ...]) -> list[Array]:
    if not isinstance(scale, list | tuple):
        return [jnp.asarray(scale)] * len(xs)
    if len(scale) != len(xs):
        raise ValueError(
            f"{name}: `noise_scale` must be a number or one array per modality, got {len(scale)} "
            f"for {len(xs)} modalities; pass [x.std(axis=0) for x in xs]."
        )
    return [jnp.asarray(s) for s in scale]
