"""Gated fusion inside a Flax Linen module: the weights are one parameter of the module."""

import flax.linen as nn
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


class Classifier(nn.Module):
    dim: int = 16

    @nn.compact
    def __call__(self, xs, present):
        dims = tuple(x.shape[-1] for x in xs)
        weights = self.param("fusion", fusion.init_gated, dims, self.dim)
        fused = fusion.gated(xs, weights, present=present)
        return nn.Dense(1)(fused)[..., 0]


def main():
    model, tx = Classifier(), optax.adam(1e-2)
    (xs, present, labels), test = make_data(jax.random.key(0)), make_data(jax.random.key(1))
    variables = model.init(jax.random.key(2), xs, present)
    opt_state = tx.init(variables)

    def loss_fn(variables):
        logits = model.apply(variables, xs, present)
        return optax.sigmoid_binary_cross_entropy(logits, labels).mean()

    @jax.jit
    def step(variables, opt_state):
        loss, grads = jax.value_and_grad(loss_fn)(variables)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(variables, updates), opt_state, loss

    for _ in range(100):
        variables, opt_state, loss = step(variables, opt_state)
    accuracy = jnp.mean((model.apply(variables, *test[:2]) > 0) == test[2])
    print(f"Flax Linen: loss {loss:.3f}, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
