"""Which layers of two networks should meet? A search in the manner of MFAS, without a surrogate."""

import jax
import jax.numpy as jnp
import optax

from crossmodal_jax import fusion, training

DIMS = ((6, 6), (6, 6))  # widths of the two feature layers of each modality
NOISE = ((3.0, 0.3), (0.3, 3.0))  # the last layer of one and the first of the other are good


def make_data(key, n=512):
    """Features of one hidden vector through four layers; a third of the entries are missing."""
    hidden_key, noise_key, present_key = jax.random.split(key, 3)
    hidden = jax.random.normal(hidden_key, (n, 6))
    noise = jax.random.normal(noise_key, (2, 2, n, 6))
    present = jax.random.bernoulli(present_key, 0.67, (n, 2))
    features = [[hidden + NOISE[m][a] * noise[m, a] for a in range(2)] for m in range(2)]
    return features, present, hidden[:, 0] + hidden[:, 1] > 0


def train_cell(layers, train, valid):
    """Trains one architecture with several learning rates at once; returns the best."""

    def logits(params, features, present):
        z = fusion.fusion_cell(features, params["cell"], layers=layers, present=present)
        return z @ params["head"]

    def loss_fn(params, batch, _):
        z = logits(params, *batch[:2])
        return jnp.mean(jax.nn.softplus(jnp.where(batch[2], -z, z))), {}

    def accuracy(params, data):
        return jnp.mean((logits(params, *data[:2]) > 0) == data[2])

    def run(hyper):
        tx = optax.adam(hyper["learning_rate"])
        cell = fusion.init_fusion_cell(jax.random.key(0), DIMS, 8, layers=layers)
        state = training.init_state({"cell": cell, "head": jnp.zeros(8)}, tx, jax.random.key(0))
        return state, training.make_train_step(loss_fn, tx), lambda p: accuracy(p, valid)

    grid = training.hyperparameter_grid(learning_rate=[0.003, 0.03])
    result = training.sweep(run, grid, lambda _: train, num_steps=100)
    params = jax.tree.map(lambda leaf: leaf[result.best], result.state.params)
    return result.scores[result.best], layers, lambda data: accuracy(params, data)


def main():
    train, valid, test = (make_data(jax.random.key(seed)) for seed in range(3))
    space = fusion.fusion_search_space([len(widths) for widths in DIMS], activations=("relu",))
    best = max((train_cell((layer,), train, valid) for layer in space), key=lambda c: c[0])
    # Layer by layer: extend the best cell by every layer, keep what is better.
    deeper = (train_cell((*best[1], layer), train, valid) for layer in space)
    score, layers, accuracy = max((best, *deeper), key=lambda candidate: candidate[0])
    print(f"cell {[x.features for x in layers]} ({score:.3f}): test accuracy {accuracy(test):.3f}")


if __name__ == "__main__":
    main()
