"""Every fusion operator on vectors, on real data, with views missing at test time.

    python examples/compare_fusion.py                 # the script of characters, from three fonts
    python examples/compare_fusion.py --data mfeat    # handwritten digits, from six views

Every view first becomes scores of the classes by kernel ridge regression, whose width and penalty
are chosen by the leave-one-out error. The operators are trained on the leave-one-out scores of the
training rows, which are as good or bad as those of unseen rows: on fitted scores they would learn
to trust the view that overfits most.

One small classifier for each operator: an encoder of every view, the operator, a linear head. Its
five seeds are trained at once by `training.sweep`, with views dropped at random, and tested with
0, 30, 50 and 70 % of the views missing. The table shows mean accuracies in percent with a 95 %
interval over the seeds, best clean accuracy first.

The digits are the six views of https://archive.ics.uci.edu/dataset/72/multiple+features as arrays
`fac fou kar mor pix zer y` in `mfeat/mfeat.npz`, below the folder in CROSSMODAL_JAX_DATA.
"""

import argparse
import functools
import itertools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich import box
from rich.console import Console
from rich.table import Table

from crossmodal_jax import data, fusion, losses, pipeline, preprocessing, training, transforms

GAMMAS = (0.125, 0.25, 0.5, 1.0)
PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3)
TUNING_ROWS = 2000
RATES = (0.0, 0.3, 0.5, 0.7)
# An outer product over six views grows with the sixth power of its width.
CODE_WIDTHS = {"tensor_fusion": 3}
# Student's t at 97.5 % for 1 … 9 degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def load_mfeat(folder):
    """Six views of handwritten digits; even rows train, odd rows test."""
    path = folder / "mfeat" / "mfeat.npz"
    if not path.exists():
        raise SystemExit(f"{path} is not there; set CROSSMODAL_JAX_DATA to the folder above it.")
    with np.load(path, allow_pickle=False) as table:
        views = [table[name] for name in ("fac", "fou", "kar", "mor", "pix", "zer")]
        labels = table["y"].astype(np.int32)
    train = np.arange(len(labels)) % 2 == 0
    return views, np.ones((len(labels), len(views)), bool), labels, train


def load_glyphs():
    """Pictures of characters in three fonts, some of them missing; which script is it?"""
    samples = pipeline.prepare(pipeline.PrepareConfig(), seed=0)
    config = pipeline.FeatureConfig(picture_dim=128, name_dim=64)
    _, found = pipeline.extract(config, samples)
    views = [np.asarray(x) for x in found.pictures()]
    train = samples.rows("train", "validation")
    return views, samples.present, samples.dataset.labels["script"].astype(np.int32), train


def standardized(x, rows):
    """Mean 0 and variance 1 of every column over `rows`."""
    return preprocessing.standardize(preprocessing.fit_standardization(x, rows), x)


def class_scores(views, present, labels, train):
    """Standardised scores of every class from each view alone, one [n, num_classes] per view."""
    targets = jax.nn.one_hot(labels, labels.max() + 1)
    fit = jax.jit(lambda x, y, gamma, l2: regression(gamma, l2).fit(x, y))
    apply = jax.jit(lambda params, x, gamma: regression(gamma, 0.0).apply(params, x))
    result = []
    for m, x in enumerate(views):
        rows = jnp.asarray(train & present[:, m])
        x = jnp.where(present[:, m, None], jnp.asarray(x, jnp.float32), 0)
        few, every = np.flatnonzero(rows)[:TUNING_ROWS], np.flatnonzero(rows)
        found = []
        # Columns of one unit are comparable as they are; others have to be made so.
        for z, gamma, l2 in itertools.product((x, standardized(x, rows)), GAMMAS, PENALTIES):
            params = fit(z[few], targets[few], gamma, l2)
            found.append((float(jnp.trace(params.residual)), z, gamma, l2))
        _, z, gamma, l2 = min(found, key=lambda candidate: candidate[0])
        params = fit(z[every], targets[every], gamma, l2)
        scores = apply(params, z, gamma).at[every].set(params.leave_one_out)
        result.append(standardized(scores, rows))
    return result


def regression(gamma, l2):
    return transforms.kernel_ridge(kernel=transforms.rbf_kernel(gamma=gamma), l2=l2)


def draw(key, *shape):
    """A kernel that keeps the variance of its input."""
    return jax.random.normal(key, shape) * shape[0] ** -0.5


def init_params(key, operator, dims, num_classes, options):
    """Encoder of every view, weights of the operator, linear head."""
    code = CODE_WIDTHS.get(options.operator, options.code)
    encoder_key, fusion_key, head_key = jax.random.split(key, 3)
    weights = operator.init(fusion_key, (code,) * len(dims), options.dim)
    codes = [jax.ShapeDtypeStruct((1, code), jnp.float32)] * len(dims)
    width = jax.eval_shape(operator.apply, codes, weights).shape[-1]
    encoder_keys = jax.random.split(encoder_key, len(dims))
    encoders = [draw(key, d, code) for key, d in zip(encoder_keys, dims, strict=True)]
    head = {"kernel": draw(head_key, width, num_classes), "bias": jnp.zeros(num_classes)}
    return {"encoders": encoders, "fusion": weights, "head": head}


def predict(params, operator, batch):
    """Scores of every class."""
    codes = [x @ encoder for x, encoder in zip(batch["xs"], params["encoders"], strict=True)]
    fused = operator.apply(codes, params["fusion"], present=batch["present"])
    return fused @ params["head"]["kernel"] + params["head"]["bias"]


def accuracy(params, operator, batch):
    """Share of samples whose class has the highest score."""
    return jnp.mean(jnp.argmax(predict(params, operator, batch), axis=-1) == batch["y"])


def drop(key, batch, rate):
    """The batch with views missing at random, at least one of each sample kept."""
    return batch | {"present": training.modality_dropout(key, batch["present"], rate=rate)}


def accuracies(operator, loaded, options):
    """Test accuracy of each seed at each rate of missing views, shape [seeds, rates]."""
    views, present, labels, train = loaded
    table = {"xs": views, "present": present, "y": labels}
    train_set, test_set = (
        jax.tree.map(lambda x, rows=rows: jnp.asarray(x[rows]), table) for rows in (train, ~train)
    )
    dims, num_classes = tuple(x.shape[1] for x in table["xs"]), int(labels.max()) + 1

    def loss_fn(params, batch, key):
        drop_key, rate_key = jax.random.split(key)
        batch = drop(drop_key, batch, jax.random.uniform(rate_key))
        scores = predict(params, operator, batch)
        return jnp.mean(losses.softmax_cross_entropy(scores, batch["y"])), {}

    def run(hyper):
        key = jax.random.key(hyper["seed"])
        tx = optax.adamw(
            optax.cosine_decay_schedule(options.learning_rate, options.steps),
            weight_decay=options.weight_decay,
        )
        params = init_params(key, operator, dims, num_classes, options)
        state = training.init_state(params, tx, jax.random.fold_in(key, 1))
        step = training.make_train_step(loss_fn, tx)
        return state, step, lambda params: accuracy(params, operator, train_set)

    def get_batch(step):
        rows = data.sample_rows(jax.random.key(7), step, int(train.sum()), options.batch_size)
        return jax.tree.map(lambda x: x[rows], train_set)

    hyper = training.hyperparameter_grid(seed=range(options.seeds))
    result = training.sweep(run, hyper, get_batch, num_steps=options.steps)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(0, 0, None))
    def mean_accuracy(params, key, rate):
        keys = jax.random.split(key, options.masks)

        def one(key):
            return accuracy(params, operator, drop(key, test_set, rate))

        return jnp.mean(jax.lax.map(one, keys))

    keys = jax.random.split(jax.random.key(11), options.seeds)
    found = [mean_accuracy(result.state.params, keys, jnp.float32(rate)) for rate in RATES]
    return np.stack(found, axis=1)


def interval(values):
    """Mean over the seeds and half the width of its 95 % interval by Student's t, in percent."""
    error = 100 * values.std(axis=0, ddof=1) / len(values) ** 0.5
    return 100 * values.mean(axis=0), STUDENT[len(values) - 2] * error


def table_of(results, title):
    """The results as a table, best accuracy with all views first; the best of a column is bold."""
    rows = {name: interval(values) for name, values in results.items()}
    best = np.max([mean for mean, _ in rows.values()], axis=0)
    caption = "accuracy in percent with a 95 % interval, by share of the views missing"
    # Narrow enough for a terminal of 80 columns.
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("operator", no_wrap=True)
    for rate in RATES:
        table.add_column(f"{rate:.0%}", justify="right", no_wrap=True)
    for name, (mean, half) in sorted(rows.items(), key=lambda row: -row[1][0][0]):
        cells = [f"{m:.1f} ± {h:.1f}" for m, h in zip(mean, half, strict=True)]
        bold = [f"[b]{c}[/b]" if m == b else c for c, m, b in zip(cells, mean, best, strict=True)]
        table.add_row(name, *bold)
    return table


def parse(argv=None):
    names = [name for name, operator in fusion.OPERATORS.items() if operator.kind == "vectors"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", choices=("glyphs", "mfeat"), default="glyphs")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="OPERATOR")
    parser.add_argument("--seeds", type=int, choices=range(2, 11), default=5, metavar="2..10")
    parser.add_argument("--steps", type=int, default=400, help="training steps")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--code", type=int, default=48, help="width of what is fused")
    parser.add_argument("--dim", type=int, default=48, help="width of the fused representation")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.3)
    parser.add_argument("--masks", type=int, default=10, help="draws of missing views in the test")
    return parser.parse_args(argv)


def main(argv=None):
    options = parse(argv)
    folder = Path(os.environ.get("CROSSMODAL_JAX_DATA", "../shared/data"))
    views, present, labels, train = (
        load_glyphs() if options.data == "glyphs" else load_mfeat(folder)
    )
    loaded = class_scores(views, present, labels, train), present, labels, train
    console, results = Console(), {}
    for name in options.only:
        options.operator = name
        results[name] = accuracies(fusion.OPERATORS[name], loaded, options)
        mean, _ = interval(results[name])
        console.print(f"{name}: {', '.join(f'{m:.1f}' for m in mean)}", highlight=False)
    console.print(table_of(results, f"{options.data}, {options.seeds} seeds"))
    return results


if __name__ == "__main__":
    main()
