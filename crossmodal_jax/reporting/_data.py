"""What a report is made of: numbers, names and pictures, and nothing that computes them."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from crossmodal_jax._typing import ArrayLike

_PACKAGES = ("crossmodal-jax", "jax", "jaxlib", "flax", "optax", "numpy", "matplotlib")


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result.

    Returns:
      Version by name, `python` first; packages that are not installed are left out.

    Examples:
      >>> from crossmodal_jax.reporting import installed_versions
      >>> sorted(installed_versions())[:2]
      ['crossmodal-jax', 'flax']
    """
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _no_pictures() -> np.ndarray:
    return np.zeros((0, 0, 1, 1), np.float32)


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Everything that `render_report` shows, as NumPy arrays and plain Python values.

    Only `title` and `metrics` are required: a part without data is left out of the report.
    Pictures hold ink in [0, 1], 1 being full ink. Names are untrusted text: they are escaped
    wherever they are shown.

    Attributes:
      title: Name of the run, shown above the headline sentence.
      metrics: Flat metrics, `"test/retrieval/<from>-><to>/<method>/<metric>": value`.
      config: The configuration of the run; may be nested.
      facts: What is worth knowing of the data and the run: samples, duplicates, seconds.
      versions: Version by package.
      history: Training curve, one dictionary a record: `step`, `loss` and any of
        `learning_rate`, `validation/recall_at_1`.
      sweep: One dictionary a configuration tried, with its score and `chosen`.
      query_modalities: Names of the m modalities of a query.
      query_pictures: Pictures of the queries, shape [q, m, h, w].
      query_present: Which pictures exist, shape [q, m].
      query_names: The right answer of every query, length q.
      query_best: Best answers of every query, best first: `(name, score, is_right)`.
      similarity: Scores of k queries (rows) against their k answers (columns), shape [k, k].
      similarity_names: Names of the rows, which are those of the columns too, length k.
      embedding: The fused space in two dimensions, shape [n, 2].
      embedding_labels: Class of every point, length n.
      fusion_weights: By modality its mean weight, or its weight in each of some samples.
      missing_curves: By method: number of dropped modalities -> `(mean, low, high)`.
      translation: `source` and `target`, and one entry for every prediction, pictures of
        shape [r, h, w] each; `names`, length r, may stand beside them.

    Raises:
      ValueError: If lengths or shapes do not belong together, or an array is not finite.

    Examples:
      >>> from crossmodal_jax.reporting import ReportData
      >>> data = ReportData(title="glyphs", metrics={"test/translate/a->b/ridge/r2": 0.5})
      >>> data.query_pictures.shape[0], data.history
      (0, ())
    """

    title: str
    metrics: Mapping[str, float]
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=installed_versions)
    history: Sequence[Mapping[str, Any]] = ()
    sweep: Sequence[Mapping[str, Any]] = ()
    query_modalities: Sequence[str] = ()
    query_pictures: Float[ArrayLike, "q m h w"] = dataclasses.field(default_factory=_no_pictures)
    query_present: Bool[ArrayLike, "q m"] | None = None
    query_names: Sequence[str] = ()
    query_best: Sequence[Sequence[tuple[str, Any, Any]]] = ()
    similarity: Float[ArrayLike, "k k"] | None = None
    similarity_names: Sequence[str] = ()
    embedding: Float[ArrayLike, "n 2"] | None = None
    embedding_labels: Sequence[str] = ()
    fusion_weights: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    missing_curves: Mapping[str, Mapping[int, tuple[Any, Any, Any]]] = dataclasses.field(
        default_factory=dict
    )
    translation: Mapping[str, Any] | None = None

    def __post_init__(self):
        for name in ("query_pictures", "query_present", "similarity", "embedding"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.asarray(value))
        _check_queries(self)
        _check_square(self)
        _check_embedding(self)
        _check_weights(self)
        _check_translation(self)


def _fail(requirement: str, got: str, remedy: str) -> None:
    raise ValueError(f"ReportData: {requirement}, got {got}; {remedy}.")


def _check_finite(name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        _fail(
            f"`{name}` must be finite",
            f"{int((~np.isfinite(array)).sum())} values that are not",
            "leave such rows out or fill absent pictures with 0",
        )


def _check_queries(data: ReportData) -> None:
    shape = np.shape(data.query_pictures)
    if len(shape) != 4 or shape[1] != len(data.query_modalities):
        _fail(
            "`query_pictures` must have shape [q, m, h, w] and m `query_modalities`",
            f"shape {shape} and {len(data.query_modalities)} modalities",
            "stack one picture per modality along axis 1",
        )
    for name in ("query_names", "query_best"):
        if len(getattr(data, name)) != shape[0]:
            _fail(
                f"`{name}` must have one entry per query",
                f"{len(getattr(data, name))} entries and query_pictures.shape={shape}",
                "pass the entries in the order of the pictures",
            )
    if data.query_present is not None and np.shape(data.query_present) != shape[:2]:
        _fail(
            "`query_present` must have shape [q, m]",
            f"{np.shape(data.query_present)} and query_pictures.shape={shape}",
            "pass one flag per picture",
        )
    _check_finite("query_pictures", np.asarray(data.query_pictures))


def _check_square(data: ReportData) -> None:
    if data.similarity is None:
        return
    count = len(data.similarity_names)
    if np.shape(data.similarity) != (count, count):
        _fail(
            "`similarity` must have shape [k, k] with k `similarity_names`",
            f"{np.shape(data.similarity)} and {count} names",
            "score the k queries against their own k answers",
        )
    _check_finite("similarity", np.asarray(data.similarity))


def _check_embedding(data: ReportData) -> None:
    if data.embedding is None:
        return
    if np.shape(data.embedding) != (len(data.embedding_labels), 2):
        _fail(
            "`embedding` must have shape [n, 2] with n `embedding_labels`",
            f"{np.shape(data.embedding)} and {len(data.embedding_labels)} labels",
            "project to two dimensions first",
        )
    _check_finite("embedding", np.asarray(data.embedding))


def _check_weights(data: ReportData) -> None:
    for name, weights in data.fusion_weights.items():
        if np.ndim(weights) > 1:
            _fail(
                f"`fusion_weights[{name!r}]` must be a number or an array [n]",
                f"shape {np.shape(weights)}",
                "average over the features first",
            )
        _check_finite(f"fusion_weights[{name!r}]", np.asarray(weights, float))


def _check_translation(data: ReportData) -> None:
    if data.translation is None:
        return
    pictures = {name: np.shape(x) for name, x in data.translation.items() if name != "names"}
    if not {"source", "target"} <= set(pictures):
        _fail(
            "`translation` must hold `source` and `target`",
            f"{sorted(pictures)}",
            "add the missing pictures, shape [r, h, w]",
        )
    rows = {shape[0] if len(shape) == 3 else shape for shape in pictures.values()}
    names = data.translation.get("names")
    if names is not None:
        rows.add(len(names))
    if len(rows) != 1 or not all(len(shape) == 3 for shape in pictures.values()):
        _fail(
            "pictures of `translation` must have shape [r, h, w] and one r",
            f"{pictures}" + ("" if names is None else f" and {len(names)} names"),
            "take the same samples in every entry",
        )
    for name in pictures:
        _check_finite(f"translation[{name!r}]", np.asarray(data.translation[name]))
