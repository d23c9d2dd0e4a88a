"""Learned T(F(X)): two towers, a contrastive loss, a sweep of whole runs, and the final model."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from crossmodal_jax import data, fusion, kernels, losses, metrics, nn, training
from crossmodal_jax._typing import PyTree
from crossmodal_jax.pipeline._config import LearnedConfig, SweepConfig
from crossmodal_jax.pipeline._extract import Features
from crossmodal_jax.pipeline._prepare import PICTURES, Prepared

HYPERPARAMETERS = ("learning_rate", "weight_decay", "temperature")
_INIT, _STEPS, _BATCHES = range(3)


class Learned(NamedTuple):
    """A trained two-tower model.

    Attributes:
      graph: What `flax.nnx.split` says of the model beside its parameters.
      params: The parameters.
    """

    graph: Any
    params: PyTree

    def encode_sources(
        self, xs: list[Float[Array, "n _"]], present: Bool[Array, "n m"]
    ) -> Float[Array, "n d"]:
        """Embeds samples by their pictures, [n, d_m] in the order of `PICTURES`."""
        return _encode_sources(self.graph, self.params, xs, present)

    def encode_target(self, y: Float[Array, "n d_y"]) -> Float[Array, "n d"]:
        """Embeds names, where the embeddings of the pictures are."""
        return _encode_target(self.graph, self.params, y)

    def fusion_weights(
        self, xs: list[Float[Array, "n _"]], present: Bool[Array, "n m"]
    ) -> Float[Array, "n m"]:
        """How much each picture counts in the fused representation of each sample."""
        return _fusion_weights(self.graph, self.params, xs, present)


class Trial(NamedTuple):
    """What the sweep found.

    Attributes:
      rows: One dictionary for each combination: its hyperparameters, its `score` and `chosen`.
    """

    rows: tuple[dict[str, Any], ...]

    @property
    def best(self) -> dict[str, float]:
        """The hyperparameters of the winner."""
        (row,) = (row for row in self.rows if row["chosen"])
        return {name: row[name] for name in HYPERPARAMETERS}


def build(config: LearnedConfig, widths: Sequence[int], key: Array) -> nn.TwoTower:
    """A two-tower model with random weights.

    Args:
      config: Widths of the model and the kind of fusion.
      widths: Widths of the features of each picture, in the order of `PICTURES`, and of the name.
      key: Random key of the weights.

    Returns:
      The model.
    """
    *sources, target = widths
    rngs = nnx.Rngs(key)
    codes = (config.dim,) * len(sources)
    fuse = (_even_gates if config.fusion == "gated" else nn.WeightedSum)(
        codes, config.dim, rngs=rngs
    )
    return nn.TwoTower(
        encoders=[nn.MLPEncoder(d, config.hidden, config.dim, rngs=rngs) for d in sources],
        fusion=fuse,
        projection=nn.Projection(config.dim, config.dim, rngs=rngs),
        target_encoder=nn.MLPEncoder(target, config.hidden, config.dim, rngs=rngs),
    )


def _even_gates(dims: Sequence[int], dim: int, *, rngs: nnx.Rngs) -> nn.Gated:
    """A gated fusion that starts as the mean of the codes, which share a space already."""
    fuse = nn.Gated(dims, dim, activation=_identity, rngs=rngs)
    for kernel in fuse.params.kernels:
        kernel[...] = jnp.eye(dim, dtype=jnp.float32)
    fuse.params.gate_kernel[...] = jnp.zeros_like(fuse.params.gate_kernel[...])
    fuse.params.gate_bias[...] = jnp.zeros_like(fuse.params.gate_bias[...])
    return fuse


def _identity(x: Array) -> Array:
    return x


@functools.partial(jax.jit, static_argnames=("config", "widths"))
def _random_weights(config: LearnedConfig, widths: tuple[int, ...], key: Array) -> PyTree:
    # Compiled once for the search and the final training: drawing op by op takes seconds.
    return nnx.split(build(config, widths, key))[1]


def tune(
    config: LearnedConfig,
    search: SweepConfig,
    prepared: Prepared,
    features: Features,
    *,
    seed: int,
    on_dispatch: Callable[[int, dict[str, Any]], None] | None = None,
) -> Trial:
    """Trains every combination of hyperparameters at once and scores each on validation.

    Every combination starts from the same weights and sees the same batches of training rows. Its
    score is the recall at 1 among the validation characters, from all their pictures.

    Args:
      config: The model (no arrays, no shapes).
      search: Values to try.
      prepared: Samples and split.
      features: Feature vectors of all samples.
      seed: Seed of weights, batches and dropout.
      on_dispatch: Called with the step and the mean metrics after each dispatch.

    Returns:
      Scores, and which combination won.
    """
    grid = training.hyperparameter_grid(
        learning_rate=search.learning_rates,
        weight_decay=search.weight_decays,
        temperature=search.temperatures,
    )
    validation = prepared.split["validation"]
    xs, y = features.pictures(validation), features.arrays["name"][validation]
    present = features.present[validation]

    def run(hyper: Mapping[str, Array]) -> tuple[Any, Any, Callable[[PyTree], Array]]:
        graph, state, step = _start(config, features, hyper, search.num_steps, seed)

        def score(params: PyTree) -> Array:
            model = nnx.merge(graph, params)
            queries = model.encode_sources(xs, present=present)
            counts = kernels.rank_counts(queries, model.encode_target(y))
            return jnp.mean(metrics.recall_at_k(counts, 1))

        return state, step, score

    rows = np.flatnonzero(prepared.rows("train"))
    result = training.sweep(
        run,
        grid,
        _batches(features, rows, search.batch_size, seed),
        num_steps=search.num_steps,
        steps_per_dispatch=config.steps_per_dispatch,
        on_dispatch=_reporter(on_dispatch),
    )
    return Trial(tuple(_trial_rows(search, np.asarray(result.scores), int(result.best))))


def train(
    config: LearnedConfig,
    hyper: Mapping[str, float],
    prepared: Prepared,
    features: Features,
    *,
    seed: int,
    resume: Callable[[training.TrainState], training.TrainState] | None = None,
    on_dispatch: Callable[[training.TrainState, dict[str, Any]], None] | None = None,
) -> Learned:
    """Trains the final model on training and validation rows, which chose its hyperparameters.

    Args:
      config: The model and its schedule (no arrays, no shapes).
      hyper: Learning rate, weight decay and temperature.
      prepared: Samples and split.
      features: Feature vectors of all samples.
      seed: Seed of weights, batches and dropout.
      resume: Maps the initial state to the state to go on from.
      on_dispatch: Called with the state and the metrics of its steps after each dispatch.

    Returns:
      The trained model.
    """
    graph, state, step = _start(config, features, hyper, config.num_steps, seed)
    rows = np.flatnonzero(prepared.rows("train", "validation"))
    state, _ = training.fit(
        step,
        state if resume is None else resume(state),
        _batches(features, rows, config.batch_size, seed),
        num_steps=config.num_steps,
        steps_per_dispatch=config.steps_per_dispatch,
        on_dispatch=on_dispatch,
    )
    return Learned(graph, state.params)


def _trial_rows(
    search: SweepConfig, scores: Float[np.ndarray, "k"], best: int
) -> Iterator[dict[str, Any]]:
    # The numbers as they were written down, not as float32 rounds them.
    grid = itertools.product(search.learning_rates, search.weight_decays, search.temperatures)
    for i, (values, score) in enumerate(zip(grid, scores, strict=True)):
        found = dict(zip(HYPERPARAMETERS, values, strict=True))
        yield {**found, "score": float(score), "chosen": i == best}


def learning_rate(peak: Any, step: Any, num_steps: int) -> Any:
    """Half a cosine from `peak` at step 0 down to 0 at `num_steps`."""
    return optax.cosine_decay_schedule(1.0, num_steps)(step) * peak


def _start(
    config: LearnedConfig,
    features: Features,
    hyper: Mapping[str, Any],
    num_steps: int,
    seed: int,
) -> tuple[Any, training.TrainState, Callable[..., Any]]:
    """The structure of the model, its initial state, and its training step."""
    key = jax.random.key(seed)
    widths = tuple(features.arrays[name].shape[1] for name in (*PICTURES, "name"))
    graph, _ = nnx.split(nnx.eval_shape(lambda: build(config, widths, key)))
    model = nnx.merge(graph, _random_weights(config, widths, jax.random.fold_in(key, _INIT)))
    model.log_logit_scale[...] = -jnp.log(jnp.asarray(hyper["temperature"], jnp.float32))
    _, params = nnx.split(model)
    tx = optax.adamw(
        lambda step: learning_rate(hyper["learning_rate"], step, num_steps),
        weight_decay=hyper["weight_decay"],
    )
    state = training.init_state(params, tx, jax.random.fold_in(key, _STEPS))
    return graph, state, training.make_train_step(_loss(config, graph), tx)


def _loss(config: LearnedConfig, graph: Any) -> Callable[..., Any]:
    def loss_fn(
        params: PyTree, batch: dict[str, Any], key: Array
    ) -> tuple[Array, dict[str, Array]]:
        model = nnx.merge(graph, params)
        drop, source, target = jax.random.split(key, 3)
        present = training.modality_dropout(drop, batch["present"], rate=config.modality_dropout)
        xs = [batch[name] for name in PICTURES]
        queries = model.encode_sources(xs, present=present, key=source, dropout=config.dropout)
        gallery = model.encode_target(batch["name"], key=target, dropout=config.dropout)
        loss = losses.clip_loss(queries, gallery, logit_scale=model.logit_scale)
        return jnp.mean(loss), {"logit_scale": model.logit_scale}

    return loss_fn


def _batches(
    features: Features, rows: Int[np.ndarray, "k"], batch_size: int, seed: int
) -> Callable[[Array], dict[str, Any]]:
    """Traceable `get_batch(step)` over some rows; the data stays on the device."""
    key = jax.random.fold_in(jax.random.key(seed), _BATCHES)
    table = {name: features.arrays[name][rows] for name in (*PICTURES, "name")}
    table["present"] = features.present[rows]
    num = min(batch_size, len(rows))

    def get_batch(step: Array) -> dict[str, Any]:
        drawn = data.sample_rows(key, step, len(rows), num)
        return {name: x[drawn] for name, x in table.items()}

    return get_batch


def _reporter(
    on_dispatch: Callable[[int, dict[str, Any]], None] | None,
) -> Callable[[training.TrainState, dict[str, Any]], None] | None:
    if on_dispatch is None:
        return None

    def report(state: training.TrainState, found: dict[str, Any]) -> None:
        on_dispatch(int(state.step[0]), {"loss": float(np.mean(found["loss"][-1]))})

    return report


@functools.partial(jax.jit, static_argnums=0)
def _encode_sources(graph: Any, params: PyTree, xs: list[Array], present: Array) -> Array:
    return nnx.merge(graph, params).encode_sources(xs, present=present)


@functools.partial(jax.jit, static_argnums=0)
def _encode_target(graph: Any, params: PyTree, y: Array) -> Array:
    return nnx.merge(graph, params).encode_target(y)


@functools.partial(jax.jit, static_argnums=0)
def _fusion_weights(graph: Any, params: PyTree, xs: list[Array], present: Array) -> Array:
    model = nnx.merge(graph, params)
    weights = model.fusion.weights
    if isinstance(weights, fusion.WeightedSumWeights):
        shares = jnp.where(present, jax.nn.softmax(weights.logits), 0)
        return shares / jnp.sum(shares, axis=-1, keepdims=True)
    codes = [encoder(x) for encoder, x in zip(model.encoders, xs, strict=True)]
    return fusion.gated_weights(codes, weights, present=present)
