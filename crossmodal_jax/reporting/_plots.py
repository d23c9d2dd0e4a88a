"""The figures of a report, each from its part of `ReportData`.

Colours can be told apart by colour-blind readers, and every series differs in its marker or
its line too, so that a print in black and white can be read.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from crossmodal_jax.reporting._svg import INK, draw_svg

# Okabe and Ito for the few methods; for the classes Tol's bright colours and three that keep
# apart from them. None is so dark or so pale that it is lost on dark or on white paper.
_METHODS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_CLASSES = (
    *("#4477aa", "#ee7733", "#228833", "#aa3377", "#66ccee"),
    *("#ccbb44", "#ee6677", "#8866cc", "#44aa99"),
)
_OTHER = "#b0b2b5"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "d")
_DASHES = ("-", "--", "-.", ":")
_MANY_POINTS = 3000
_FEW_STEPS = 40


def plot_training(history: Sequence[Mapping[str, Any]]) -> str:
    """Loss over the steps, and beside it the scores on validation or the learning rate."""
    keys = sorted({key for record in history for key in record})
    scores = [key for key in keys if key.startswith("validation/")]
    beside = scores or [key for key in keys if key == "learning_rate"]

    def draw(figure: Any) -> None:
        axes = np.atleast_1d(figure.subplots(1, 2 if beside else 1))
        _curve(axes[0], history, "loss", 0)
        axes[0].set(xlabel="step", ylabel="training loss")
        for i, key in enumerate(beside, start=1):
            _curve(axes[1], history, key, i)
            axes[1].set(xlabel="step", ylabel="validation, %" if scores else _words(key))
        if scores:
            axes[1].legend(loc="best")

    return draw_svg(
        draw,
        size=(1000 if beside else 560, 300),
        name="training",
        description="Training loss over the steps, and validation scores or learning rate",
    )


def _curve(axes: Any, history: Sequence[Mapping[str, Any]], key: str, i: int) -> None:
    steps, values = _series(history, key)
    is_share = key.startswith("validation/") and "rank" not in key and "loss" not in key
    axes.plot(
        steps,
        100 * values if is_share else values,
        label=_shorten(_words(key.removeprefix("validation/")), 24),
        color=_METHODS[i % len(_METHODS)],
        linestyle=_DASHES[max(i - 1, 0) % len(_DASHES)],
        marker=_MARKERS[i % len(_MARKERS)] if len(steps) <= _FEW_STEPS else None,
        markersize=4,
    )


def plot_similarity(similarity: Float[np.ndarray, "k k"], names: Sequence[str]) -> str:
    """Scores of queries against answers; the right answers lie on the diagonal."""
    labels = [_shorten(name, 30) for name in names]
    margin, side = 5 * max(map(len, labels)) + 30, 17 * len(labels)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        image = axes.imshow(similarity, cmap="cividis", interpolation="none")
        ticks = np.arange(len(labels))
        axes.set_xticks(ticks, labels, rotation=90, fontsize=8)
        axes.set_yticks(ticks, labels, fontsize=8)
        axes.tick_params(length=0)
        axes.set(xlabel="answer", ylabel="query")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.02, label="score")
        bar.outline.set_visible(False)

    return draw_svg(
        draw,
        size=(side + margin + 90, side + margin),
        name="similarity",
        description="Heat map of the scores of queries against answers",
    )


def plot_embedding(
    embedding: Float[np.ndarray, "n 2"], labels: Sequence[str], *, num_classes: int = 9
) -> str:
    """The fused space in two dimensions, the most frequent classes coloured."""
    counts = Counter(labels)
    shown = sorted(counts, key=lambda label: (-counts[label], label))[:num_classes]
    labels_array = np.asarray(labels, object)
    rest = len(labels) - sum(counts[label] for label in shown)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        # Few points may be large, many must be small.
        size = float(np.clip(12000 / len(labels), 12, 45))
        options = {"linewidths": 0, "rasterized": len(labels) > _MANY_POINTS}
        for i, label in enumerate(shown):
            axes.scatter(
                *embedding[labels_array == label].T,
                s=size,
                color=_CLASSES[i % len(_CLASSES)],
                marker=_MARKERS[i % len(_MARKERS)],
                label=f"{_shorten(label, 24)} ({counts[label]})",
                alpha=0.85,
                **options,
            )
        if rest:
            others = ~np.isin(labels_array, shown)
            text = f"{len(counts) - len(shown)} others ({rest})"
            axes.scatter(
                *embedding[others].T, s=size / 2, color=_OTHER, label=text, zorder=0, **options
            )
        axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", adjustable="datalim")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        figure.legend(loc="outside right upper", markerscale=1.6)

    return draw_svg(
        draw,
        size=(900, 560),
        name="embedding",
        description="The fused space in two dimensions by class",
    )


def plot_weights(weights: Mapping[str, Any]) -> str:
    """Weight of every modality in the fusion: its mean, and its spread where known."""
    names = list(weights)
    values = [np.atleast_1d(np.asarray(weights[name], float)) for name in names]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        places = np.arange(len(names))
        if max(len(value) for value in values) > 1:
            boxes = axes.boxplot(
                values,
                positions=places,
                orientation="horizontal",
                widths=0.55,
                showfliers=False,
                patch_artist=True,
                medianprops={"color": INK, "linewidth": 1.6},
                whiskerprops={"color": INK},
                capprops={"color": INK},
            )
            for box, colour in zip(boxes["boxes"], _cycle(len(names)), strict=True):
                box.set(facecolor=colour, edgecolor=INK, linewidth=0.8)
        else:
            means = [value.mean() for value in values]
            bars = axes.barh(places, means, height=0.55, color=_cycle(len(names)))
            axes.bar_label(bars, fmt="%.2f", padding=4)
        axes.set_yticks(places, [_shorten(name, 20) for name in names])
        axes.set_xlim(left=0)
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="weight")

    return draw_svg(
        draw,
        size=(490, 80 + 60 * len(names)),
        name="weights",
        description="Fusion weight by modality",
    )


def plot_missing(curves: Mapping[str, Mapping[int, tuple[float, float, float]]]) -> str:
    """The score with zero, one, two, … modalities missing at test time, with intervals."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for i, (method, curve) in enumerate(curves.items()):
            dropped = np.asarray(sorted(curve))
            mean, low, high = 100 * np.asarray([curve[k] for k in dropped], float).T
            # Beside each other: intervals at one place would hide each other.
            offset = 0.06 * (i - (len(curves) - 1) / 2)
            axes.errorbar(
                dropped + offset,
                mean,
                yerr=np.clip([mean - low, high - mean], 0, None),
                label=_shorten(method, 24),
                color=_METHODS[i % len(_METHODS)],
                linestyle=_DASHES[i % len(_DASHES)],
                marker=_MARKERS[i % len(_MARKERS)],
                markersize=6,
                capsize=3,
                elinewidth=1.2,
            )
        ticks = sorted({k for curve in curves.values() for k in curve})
        axes.set(xlabel="modalities missing at test time", ylabel="R@1, %", xticks=ticks)
        axes.set_ylim(bottom=0)
        axes.legend(loc="best")

    return draw_svg(
        draw,
        size=(490, 300),
        name="missing",
        description="R@1 against the number of missing modalities, by method",
    )


def _series(history: Sequence[Mapping[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray]:
    records = [record for record in history if key in record]
    steps = np.asarray([record["step"] for record in records], float)
    return steps, np.asarray([record[key] for record in records], float)


def _cycle(count: int) -> list[str]:
    return [_METHODS[i % len(_METHODS)] for i in range(count)]


def _words(name: str) -> str:
    return name.replace("recall_at_", "R@").replace("_", " ")


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
