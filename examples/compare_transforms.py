"""Transforms on real data, closed form and learned side by side.

    python examples/compare_transforms.py                  # pictures of characters; no download
    python examples/compare_transforms.py --data mfeat     # handwritten digits, view to view
    python examples/compare_transforms.py --data words     # picture and voice to written word

Every row is one way from x to y, its options chosen on a fourth of the training rows and refitted
on all of them. Late fusion finds the best way of each view alone and compares in the coordinates
of all of them. R² is that of its predictions, R@k how often the right y is among the k nearest of
all test rows by cosine, and the cycle error the part of x that `inverse` does not bring back: all
in percent, with a 95 % interval over the splits, and seconds. The first split is the customary
one: "first" is the measure that the options are chosen by on it alone.

`mfeat` and `words` are files `mfeat/mfeat.npz` and `words/words.npz` below the folder in
CROSSMODAL_JAX_DATA.
"""

import argparse
import functools
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from crossmodal_jax import features, kernels, learned, metrics, numerics, pipeline, transforms

# Student's t at 97.5 % for 1 … 9 degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
# Options are compared on so many rows at most.
TUNING_ROWS = 2000
# Places of the two that options are chosen by, among the scores.
R_SQUARED, RECALL_AT_1, RECALL_AT_10 = range(3)
SEARCHES = {
    "fou to kar": RECALL_AT_10,
    "picture to name": RECALL_AT_10,
    "picture to word": RECALL_AT_1,
    "voice to word": RECALL_AT_1,
    "picture and voice to word": RECALL_AT_1,
}


class Split(NamedTuple):
    """Views [n, d_m] and target [n, dy] of one task, the numbers of the rows that train and test.

    `alone` has a split for each view by itself, which may have more rows to train on and a target
    of its own; the rows that test are the same, in the same order.
    """

    views: list[np.ndarray]
    target: np.ndarray
    train: np.ndarray
    test: np.ndarray
    alone: tuple = ()


class Answer(NamedTuple):
    """What a method makes of rows: predictions, coordinates to compare, x brought back."""

    predicted: jax.Array
    query: jax.Array
    gallery: jax.Array
    restored: jax.Array | None = None


def load_mfeat(folder, num_splits):
    """Views of handwritten digits; first even rows train and odd rows test, then random halves."""
    with np.load(folder / "mfeat" / "mfeat.npz", allow_pickle=False) as table:
        views = {name: table[name].astype(np.float32) for name in ("kar", "pix", "fou")}
    parts = [np.split(np.argsort(np.arange(2000) % 2, kind="stable"), 2)]
    parts += random_parts(2000, 1000, num_splits - 1)
    return {
        f"{x} to {y}": [Split([views[x]], views[y], *rows) for rows in parts]
        for x, y in (("kar", "pix"), ("fou", "pix"), ("fou", "kar"))
    }


def load_words(folder, num_splits):
    """Picture and voice of a word; its meaning and its spelling are to be found."""
    with np.load(folder / "words" / "words.npz", allow_pickle=False) as table:
        voiced = table["voice_en_row"]
        mel = table["voice_en_mel"] / np.float32(255)
        picture, meaning = (table[k].astype(np.float32) for k in ("image_feat", "text_feat"))
        words, tests = table["word"], table["split"] == "test"
    # No two voices keep the same time to the frame.
    voice = ndimage.gaussian_filter1d(mel, 3**0.5, axis=2).reshape(len(mel), -1)
    # Both count alike, whatever their number of columns.
    meaning = unit(meaning)
    spelling = unit(np.sqrt(features.hashed_ngrams(words, dim=512, ngrams=(1, 2))))
    given = np.flatnonzero(~tests[voiced]), np.flatnonzero(tests[voiced])
    result = {"picture to word": [], "voice to word": [], "picture and voice to word": []}
    for train, test in [given, *random_parts(len(voiced), len(voiced) - 100, num_splits - 1)]:
        # More words have a picture than a voice.
        seen = np.setdiff1d(np.arange(len(words)), voiced[test])
        seen = seen[~tests[seen]] if test is given[1] else seen
        alone = (
            Split([picture], meaning, seen, voiced[test]),
            Split([voice], spelling[voiced], train, test),
        )
        both = np.concatenate([meaning, spelling], axis=1)[voiced]
        joint = Split([picture[voiced], voice], both, train, test, alone)
        for splits, split in zip(result.values(), (*alone, joint), strict=True):
            splits.append(split)
    return result


def load_glyphs(_, num_splits):
    """Characters in two fonts and by name; a split never parts characters that look alike."""
    tasks = {"Sans to Serif": [], "picture to name": []}
    for seed in range(num_splits):
        samples = pipeline.prepare(pipeline.PrepareConfig(), seed=seed)
        config = pipeline.FeatureConfig(picture_dim=256, name_dim=400)
        _, found = pipeline.extract(config, samples)
        sans, serif, _ = (np.asarray(x) for x in found.pictures())
        name, test = np.asarray(found.arrays["name"]), samples.rows("test")
        paired = samples.present[:, :2].all(axis=1)
        for title, y, known in (("Sans to Serif", serif, paired), ("picture to name", name, True)):
            rows = np.flatnonzero(~test & known), np.flatnonzero(test & known)
            tasks[title].append(Split([sans], y, *rows))
    return tasks


LOADERS = {"glyphs": load_glyphs, "mfeat": load_mfeat, "words": load_words}


def random_parts(n, num_train, count):
    """`num_train` rows to train on and the others, for each seed."""
    for seed in range(count):
        order = np.random.default_rng(seed).permutation(n)
        yield np.sort(order[:num_train]), np.sort(order[num_train:])


def unit(x):
    """Centred rows of mean squared norm 1."""
    centred = x - x.mean(axis=0)
    return centred / np.sqrt(np.mean(np.sum(centred**2, axis=1)))


@functools.cache
def program(make, static):
    """A compiled fit, of which the numbers that are not `static` are arguments."""
    return jax.jit(lambda x, y, traced: make(**dict(static), **traced).fit(x, y))


def fit(make, x, y, options):
    """A transform and its parameters; one compilation serves a whole grid of real numbers."""
    static = tuple((name, value) for name, value in options.items() if isinstance(value, int))
    traced = {name: value for name, value in options.items() if isinstance(value, float)}
    return make(**options), program(make, static)(x, y, traced)


def plain(make):
    """The method of one transform of all views side by side."""

    def method(views, y, new_views, new_y, **options):
        x, new = side_by_side(views, views), side_by_side(views, new_views)
        t, params = fit(make, x, y, options)
        predicted = t.apply(params, new)
        restored = None if t.inverse is None else t.inverse(params, predicted)
        centre = y.mean(axis=0)
        return Answer(predicted, predicted - centre, new_y - centre, restored)

    return method


def side_by_side(views, new_views):
    """Columns of all views, each view centred and of mean squared norm 1 in `views`."""
    parts = []
    for x, new in zip(views, new_views, strict=True):
        centre = x.mean(axis=0)
        size = np.sqrt(np.mean(np.sum((x - centre) ** 2, axis=1)))
        parts.append((new - centre) / size)
    return jnp.asarray(np.concatenate(parts, axis=1))


def by_variates(views, y, new_views, new_y, **options):
    """Canonical correlation analysis, whose variates are compared."""
    x, new = side_by_side(views, views), side_by_side(views, new_views)
    options["dim"] = min(options["dim"], x.shape[1], y.shape[1])
    return variates(*fit(transforms.cca, x, y, options), new, new_y)


def variates(t, params, new, new_y):
    query = transforms.canonical_variates(params, new, power=1.0)
    gallery = transforms.canonical_variates(params, new_y, view=1, power=1.0)
    predicted = t.apply(params, new)
    return Answer(predicted, query, gallery, t.inverse(params, predicted))


def by_deep_variates(views, y, new_views, new_y, **options):
    """Deep canonical correlation analysis, whose variates are compared."""
    x, new = side_by_side(views, views), side_by_side(views, new_views)
    options["dim"] = min(options["dim"], x.shape[1], y.shape[1])
    t, params = fit(learned.deep_cca, x, y, options)
    query = learned.deep_variates(params, new, power=1.0)
    return Answer(
        t.apply(params, new), query, learned.deep_variates(params, new_y, view=1, power=1.0)
    )


def kernel_then_cca(views, y, new_views, new_y, *, gamma, l2, dim, cca_l2):
    """F(X): kernel ridge regression of every view; T: CCA from their leave-one-out predictions."""
    parts, new_parts = [], []
    for x, new in zip(views, new_views, strict=True):
        first, params = fit(kernel, jnp.asarray(x), y, {"gamma": gamma, "l2": l2})
        parts.append(params.leave_one_out)
        new_parts.append(first.apply(params, jnp.asarray(new)))
    x, new = jnp.concatenate(parts, axis=1), jnp.concatenate(new_parts, axis=1)
    t, params = fit(transforms.cca, x, y, {"dim": min(dim, x.shape[1], y.shape[1]), "l2": cca_l2})
    answer = variates(t, params, new, new_y)
    return answer._replace(restored=None)


def kernel(gamma, l2):
    return transforms.kernel_ridge(kernel=transforms.rbf_kernel(gamma=gamma), l2=l2)


METHODS: dict[str, tuple[Callable[..., Answer], dict[str, list[Any]]]] = {
    "ridge": (plain(transforms.ridge), {"l2": [1e-3, 1e-2, 1e-1, 1.0]}),
    "cca": (by_variates, {"dim": [10, 30, 100], "l2": [1e-2, 1e-1, 1.0]}),
    "kernel_ridge": (
        plain(kernel),
        {"gamma": [0.125, 0.5, 1.0], "l2": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]},
    ),
    "kernel, then cca": (
        kernel_then_cca,
        {"gamma": [0.25, 1.0], "l2": [1e-4, 1e-3, 1e-2], "dim": [16, 60], "cca_l2": [0.1, 1.0]},
    ),
    "mlp": (plain(learned.mlp), {"num_steps": [100, 300, 1000]}),
    "residual": (plain(learned.residual), {"num_steps": [30, 100, 300, 1000]}),
    "deep_cca": (by_deep_variates, {"dim": [16, 60], "num_steps": [30, 300], "l2": [1e-1]}),
    "cycle_consistent": (plain(learned.cycle_consistent), {"num_steps": [100, 300, 1000]}),
}
# How late fusion may treat each view.
ALONE = ("kernel_ridge", "kernel, then cca")
LATE = "late fusion"


def scores(answer, x, y):
    """R², R@1, R@10 and the share of the variance of x that a cycle loses."""
    query, gallery = (numerics.normalize(jnp.asarray(z)) for z in (answer.query, answer.gallery))
    counts = kernels.rank_counts(query, gallery)
    hits = [jnp.mean(metrics.recall_at_k(counts, k)) for k in (1, 10)]
    lost = np.nan if answer.restored is None else unexplained(answer.restored, x)
    return np.array([1 - unexplained(answer.predicted, y), *hits, lost], np.float32)


def unexplained(predicted, y):
    """Share of the variance of y that predictions leave."""
    return jnp.sum(jnp.square(predicted - y)) / jnp.sum(jnp.square(y - y.mean(axis=0)))


def answer_of(method, split, train, test, options):
    """What one method makes of some rows after learning from others, and its seconds."""
    views, new_views = ([x[rows] for x in split.views] for rows in (train, test))
    y, new_y = (jnp.asarray(split.target[rows]) for rows in (train, test))
    start = time.perf_counter()
    answer = jax.block_until_ready(method(views, y, new_views, new_y, **options))
    seconds = time.perf_counter() - start
    return answer, seconds, side_by_side(views, new_views), new_y


def chosen(names, split, goal):
    """The score, name and options of what is best on a fourth of (some of) the training rows."""
    rows = np.random.default_rng(0).permutation(split.train)[:TUNING_ROWS]
    held_out, rest = np.split(rows, [len(rows) // 4])
    found = []
    for name in names:
        method, grid = METHODS[name]
        for values in itertools.product(*grid.values()):
            options = dict(zip(grid, values, strict=True))
            answer, _, x, y = answer_of(method, split, rest, held_out, options)
            found.append((scores(answer, x, y)[goal], name, options))
    return max(found, key=lambda candidate: candidate[0])


def score(name, split, goal):
    """Scores of one method with its best options, and the seconds of the fit with them."""
    if name == LATE:
        return late_fusion(split)
    _, name, options = chosen([name], split, goal)
    answer, seconds, x, y = answer_of(METHODS[name][0], split, split.train, split.test, options)
    return np.append(scores(answer, x, y), seconds)


def late_fusion(split):
    """Cosines of all views, each found in the coordinates that are best for it alone, added up."""
    parts = []
    for one in split.alone:
        _, name, options = chosen(ALONE, one, RECALL_AT_1)
        parts.append(answer_of(METHODS[name][0], one, one.train, one.test, options))
    answers, seconds, _, targets = zip(*parts, strict=True)
    side = functools.partial(jnp.concatenate, axis=1)
    together = Answer(
        predicted=side([answer.predicted for answer in answers]),
        query=side([numerics.normalize(answer.query) for answer in answers]),
        gallery=side([numerics.normalize(answer.gallery) for answer in answers]),
    )
    return np.append(scores(together, None, side(targets)), sum(seconds))


def interval(values):
    """Mean over the splits and half the width of its 95 % interval by Student's t."""
    half = STUDENT[len(values) - 2] * values.std(axis=0, ddof=1) / len(values) ** 0.5
    return values.mean(axis=0), half


def compare(title, splits, names, console):
    """Prints one table: a row for each method."""
    # Vectors of another kind than x are found, not reproduced.
    goal = SEARCHES.get(title, R_SQUARED)
    names = [*names, LATE] if splits[0].alone else names
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("", "R²", "R@1", "R@10", "cycle", "first", "s"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    results = {}
    for name in names:
        results[name] = np.stack([score(name, split, goal) for split in splits])
        # Programs of one method serve no other, and a process can hold only so many.
        program.cache_clear()
        jax.clear_caches()
        mean, half = interval(results[name])
        cells = [f"{100 * m:.1f} ± {100 * h:.1f}" for m, h in zip(mean[:3], half[:3], strict=True)]
        cycle, first = (f"{100 * z:.1f}" for z in (mean[3], results[name][0, goal]))
        table.add_row(name, *cells, "–" if cycle == "nan" else cycle, first, f"{mean[4]:.1f}")
    console.print(table)
    return results


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", choices=LOADERS, default="glyphs")
    parser.add_argument("--splits", type=int, choices=range(2, 11), default=5, metavar="2..10")
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS))
    options = parser.parse_args(argv)
    folder = Path(os.environ.get("CROSSMODAL_JAX_DATA", "../shared/data"))
    tasks = LOADERS[options.data](folder, options.splits)
    console = Console()
    return {title: compare(title, splits, options.only, console) for title, splits in tasks.items()}


if __name__ == "__main__":
    main()
