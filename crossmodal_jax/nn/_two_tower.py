"""Y = T(F(X)) as two towers that meet in one space."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from crossmodal_jax import numerics
from crossmodal_jax._checks import check_modalities, check_present
from crossmodal_jax._typing import ArrayLike

# The scale of CLIP: a temperature of 0.07 at first, and never below 0.01.
_INITIAL_SCALE = 1 / 0.07
_LARGEST_SCALE = 100.0


class TwoTower(nnx.Module):
    """Source modalities, fused and transformed, and a target modality, in one space.

    The source tower is T(F(f₁(x₁), …, f_M(x_M))) with encoders fᵢ, fusion F and projection T;
    the target tower is one encoder. Both end on the unit sphere, so that their dot product is
    the cosine that a contrastive loss scales by `logit_scale`.

    Args:
      encoders: One module per source modality, called as `encoder(x, key=..., dropout=...)`.
      fusion: Module called as `fusion(codes, present=...)`, for instance `Gated`.
      projection: Module called as `projection(fused)`, for instance `Projection`.
      target_encoder: Module for the target modality, called as the other encoders.
      logit_scale: Initial scale s of the cosines.

    Attributes:
      log_logit_scale: Learned log s, a float32 scalar.

    Examples:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from crossmodal_jax.nn import Gated, MLPEncoder, Projection
      >>> rngs = nnx.Rngs(0)
      >>> model = TwoTower(
      ...     encoders=[MLPEncoder(3, 8, 4, rngs=rngs), MLPEncoder(5, 8, 4, rngs=rngs)],
      ...     fusion=Gated((4, 4), 6, rngs=rngs),
      ...     projection=Projection(6, 2, rngs=rngs),
      ...     target_encoder=MLPEncoder(7, 8, 2, rngs=rngs),
      ... )
      >>> xs = [jnp.ones((9, 3)), jnp.ones((9, 5))]
      >>> print(model.encode_sources(xs).shape, model.encode_target(jnp.ones((9, 7))).shape)
      (9, 2) (9, 2)
    """

    def __init__(
        self,
        encoders: Sequence[nnx.Module],
        fusion: nnx.Module,
        projection: nnx.Module,
        target_encoder: nnx.Module,
        *,
        logit_scale: float = _INITIAL_SCALE,
    ):
        self.encoders = nnx.List(encoders)
        self.fusion = fusion
        self.projection = projection
        self.target_encoder = target_encoder
        self.log_logit_scale = nnx.Param(jnp.asarray(math.log(logit_scale), jnp.float32))

    @property
    def logit_scale(self) -> Float[Array, ""]:
        """The scale s = exp(log s), at most 100."""
        return jnp.exp(jnp.minimum(self.log_logit_scale[...], math.log(_LARGEST_SCALE)))

    def encode_sources(
        self,
        xs: Sequence[Float[ArrayLike, "..."]],
        *,
        present: Bool[ArrayLike, "..."] | None = None,
        key: Array | None = None,
        dropout: Float[ArrayLike, ""] | float = 0.0,
    ) -> Float[Array, "*batch dim"]:
        """Embeds samples by whichever source modalities they have.

        Args:
          xs: One array per source modality, shapes [*batch, d_m].
          present: True where a sample has the modality, a shape that broadcasts to [*batch, m];
            None if all are present.
          key: Random key of the dropout; None for no dropout, as in evaluation.
          dropout: Dropout rate handed to the encoders.

        Returns:
          Embeddings of unit length, shape [*batch, dim].

        Raises:
          ValueError: If the number of modalities or a shape is not that of the encoders.
        """
        xs, present = self._clean(xs, present)
        keys = [None] * len(xs) if key is None else jax.random.split(key, len(xs))
        codes = [
            encoder(x, key=keys[m], dropout=dropout)
            for m, (encoder, x) in enumerate(zip(self.encoders, xs, strict=True))
        ]
        return numerics.normalize(self.projection(self.fusion(codes, present=present)))

    def encode_target(
        self,
        y: Float[ArrayLike, "*batch d"],
        *,
        key: Array | None = None,
        dropout: Float[ArrayLike, ""] | float = 0.0,
    ) -> Float[Array, "*batch dim"]:
        """Embeds the target modality.

        Args:
          y: Target inputs, shape [*batch, d].
          key: Random key of the dropout; None for no dropout, as in evaluation.
          dropout: Dropout rate handed to the encoder.

        Returns:
          Embeddings of unit length, shape [*batch, dim].

        Raises:
          ValueError: If the width of `y` is not that of the encoder.
        """
        return numerics.normalize(self.target_encoder(y, key=key, dropout=dropout))

    def _clean(
        self, xs: Sequence[ArrayLike], present: ArrayLike | None
    ) -> tuple[tuple[Array, ...], Array | None]:
        """Checks the modalities and zeroes absent ones, whose payload no kernel may meet."""
        xs = check_modalities("TwoTower", xs)
        if len(xs) != len(self.encoders):
            raise ValueError(
                f"TwoTower: `xs` must have one array per source encoder, got {len(xs)} for "
                f"{len(self.encoders)} encoders; mark missing modalities with `present`."
            )
        if present is None:
            return xs, None
        mask = check_present("TwoTower", present, xs)
        xs = tuple(jnp.broadcast_to(x, (*mask.shape[:-1], x.shape[-1])) for x in xs)
        return tuple(numerics.zero_absent(x, mask[..., m]) for m, x in enumerate(xs)), mask
