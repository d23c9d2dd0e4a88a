"""What a fused representation still knows of each modality."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from crossmodal_jax._checks import check_modalities, check_present, check_where
from crossmodal_jax._typing import ArrayLike
from crossmodal_jax.losses._regression import cosine_loss


def refinement_loss(
    refined: Sequence[Float[ArrayLike, "..."]],
    xs: Sequence[Float[ArrayLike, "..."]],
    *,
    present: Bool[ArrayLike, "..."] | None = None,
    where: Bool[ArrayLike, "*batch"] | None = None,
) -> Float[Array, "*batch"]:
    """Self-supervision of a refiner fusion network (ReFNet), one value per sample.

    Σ_{i ∈ S} (1 − cos(rᵢ, xᵢ)), where rᵢ is what a refiner makes of the fused representation for
    modality i, and S are the modalities that the sample has. It is added, with a weight, to the
    loss of the task.

    Args:
      refined: The refined r, one array per modality, shapes [*batch, d_m].
      xs: The modalities x that were fused, shapes [*batch, d_m].
      present: True where a sample has the modality, a shape that broadcasts to [*batch, m]; None
        if all are present.
      where: Samples to keep, shape [*batch].

    Returns:
      Loss per sample, between 0 and 2m, shape [*batch], float32 or float64; 0 where dropped or
      nothing is present.

    Raises:
      ValueError: If the shapes of `refined`, `xs` and the masks disagree.
      TypeError: If a modality is not floating point, or a mask is not boolean.

    Examples:
      >>> import jax.numpy as jnp
      >>> xs = [jnp.array([[1.0, 0.0]]), jnp.array([[jnp.nan, 0.0, 1.0]])]
      >>> refined = [jnp.array([[0.0, 5.0]]), jnp.ones((1, 3))]
      >>> print(refinement_loss(refined, xs, present=jnp.array([True, False])))
      [1.]

    References:
      Sankaran et al., Multimodal Fusion Refiner Networks, 2021.
    """
    xs, refined = check_modalities("refinement_loss", xs), [jnp.asarray(r) for r in refined]
    shapes = [[x.shape for x in side] for side in (refined, xs)]
    batch = xs[0].shape[:-1]
    if shapes[0] != shapes[1] or any(x.shape[:-1] != batch for x in xs):
        raise ValueError(
            "refinement_loss: `refined` and `xs` must have the same shapes [*batch, d_m], with one "
            f"batch for all modalities, got {shapes[0]} and {shapes[1]}; refine to each width."
        )
    keep = check_where("refinement_loss", where, batch)
    mask = check_present("refinement_loss", present, xs) & keep[..., None]
    pairs = enumerate(zip(refined, xs, strict=True))
    terms = [cosine_loss(r, x, where=mask[..., m]) for m, (r, x) in pairs]
    return jnp.sum(jnp.stack(terms), axis=0)
