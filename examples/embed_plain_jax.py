"""Gated fusion inside a model that is a dictionary of arrays: plain JAX and nothing else."""

import jax
import jax.numpy as jnp

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


def init_params(key, dim=16):
    return {
        "fusion": fusion.init_gated(key, DIMS, dim),
        "head": {"kernel": jnp.zeros(dim), "bias": jnp.zeros(())},
    }


def predict(params, xs, present):
    fused = fusion.gated(xs, params["fusion"], present=present)
    return fused @ params["head"]["kernel"] + params["head"]["bias"]


def loss_fn(params, xs, present, labels):
    logits = predict(params, xs, present)
    return jnp.mean(jax.nn.softplus(jnp.where(labels, -logits, logits)))


@jax.jit
def step(params, xs, present, labels):
    loss, grads = jax.value_and_grad(loss_fn)(params, xs, present, labels)
    return jax.tree.map(lambda p, g: p - 0.5 * g, params, grads), loss


def main():
    train, test = make_data(jax.random.key(0)), make_data(jax.random.key(1))
    params = init_params(jax.random.key(2))
    for _ in range(200):
        params, loss = step(params, *train)
    xs, present, labels = test
    accuracy = jnp.mean((predict(params, xs, present) > 0) == labels)
    print(f"plain JAX: loss {loss:.3f}, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
