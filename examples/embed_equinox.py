"""Gated fusion inside an Equinox module: the weights are a field, a pytree like any other."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from crossmodal_jax import fusion

DIMS = (8, 6, 4)  # widths of the three modalities


def make_data(key, n=512):
    """Three noisy views of one hidden vector; a third of the entries are missing."""
    hidden_key, noise_key, present_key = jax.random.split(key, 3)
    hidden = jax.random.normal(hidden_key, (n, 8))
    noise = jax.random.normal(noise_key, (len(DIMS), n, 8))
    present = jax.random.bernoulli(present_key, 0.67, (n, len(DIMS)))
    xs = [hidden[:, :d] + 0.3 * noise[m, :, :d] for m, d in enumerate(DIMS)]
    # Whatever an absent entry holds has no influence; NaN shows it.
    xs = [jnp.where(present[:, m, None], x, jnp.nan) for m, x in enumerate(xs)]
    return xs, present, hidden[:, 0] + hidden[:, 1] > 0


class Classifier(eqx.Module):
    fusion: fusion.GatedWeights
    head: eqx.nn.Linear

    def __init__(self, key, dim=16):
        self.fusion = fusion.init_gated(key, DIMS, dim)
        self.head = eqx.nn.Linear(dim, "scalar", key=jax.random.fold_in(key, 1))

    def __call__(self, xs, present):
        # One sample, as Equinox likes it; the operator takes any leading axes.
        return self.head(fusion.gated(xs, self.fusion, present=present))


def loss_fn(model, xs, present, labels):
    logits = jax.vmap(model)(xs, present)
    return optax.sigmoid_binary_cross_entropy(logits, labels).mean()


def main():
    train, test = make_data(jax.random.key(0)), make_data(jax.random.key(1))
    model, tx = Classifier(jax.random.key(2)), optax.adam(1e-2)
    opt_state = tx.init(eqx.filter(model, eqx.is_array))
    step = eqx.filter_jit(eqx.filter_value_and_grad(loss_fn))
    for _ in range(100):
        loss, grads = step(model, *train)
        updates, opt_state = tx.update(grads, opt_state)
        model = eqx.apply_updates(model, updates)
    accuracy = jnp.mean((jax.vmap(model)(*test[:2]) > 0) == test[2])
    print(f"Equinox: loss {loss:.3f}, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
