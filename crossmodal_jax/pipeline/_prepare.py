"""From raw data to clean samples and a split that leaks nothing."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from crossmodal_jax import data, preprocessing
from crossmodal_jax.pipeline._config import PrepareConfig

PICTURES = ("sans", "serif", "mono")
"""The source modalities: one picture of the character in each font."""


class Prepared(NamedTuple):
    """Clean samples and their split.

    Attributes:
      dataset: The n samples that are kept.
      groups: Group of look-alikes of each sample, shape [n].
      split: Rows of `train`, `validation` and `test`.
      facts: Counts worth reporting.
    """

    dataset: data.Dataset
    groups: Int[np.ndarray, "n"]
    split: dict[str, Int[np.ndarray, "_"]]
    facts: dict[str, int]

    @property
    def present(self) -> Bool[np.ndarray, "n m"]:
        """Which pictures each sample has, in the order of `PICTURES`, shape [n, m]."""
        return np.stack([self.dataset.present[name] for name in PICTURES], axis=1)

    def rows(self, *parts: str) -> Bool[np.ndarray, "n"]:
        """Mask of the samples of some parts of the split, shape [n]."""
        mask = np.zeros(len(self.dataset), bool)
        for part in parts:
            mask[self.split[part]] = True
        return mask


def prepare(config: PrepareConfig, *, seed: int) -> Prepared:
    """Loads, cleans and splits the data.

    Characters with the same picture in some font are look-alikes and form one group, which lies
    on one side of the split. Test and validation characters have every picture; scripts keep
    their proportions. The rest is for training.

    Args:
      config: What to load and how much to set aside (no arrays, no shapes).
      seed: Seed of the split.

    Returns:
      The prepared samples.

    Raises:
      ValueError: If there are not enough characters with every picture.

    Examples:
      >>> from crossmodal_jax.pipeline import PrepareConfig, prepare
      >>> config = PrepareConfig(size=16, num_test=20, num_validation=20, max_samples=400)
      >>> {part: len(rows) for part, rows in prepare(config, seed=0).split.items()}
      {'train': 360, 'test': 20, 'validation': 20}
    """
    raw = _LOADERS[config.dataset](size=config.size)
    if config.max_samples is not None and config.max_samples < len(raw):
        chosen = np.random.default_rng([seed, 1]).permutation(len(raw))[: config.max_samples]
        raw = raw.take(np.sort(chosen))
    dataset, report = _clean(raw)
    masks = [dataset.present[name] for name in PICTURES]
    groups = preprocessing.duplicate_groups(
        *(dataset.modalities[name] for name in (*PICTURES, "name")),
        present=[*masks, dataset.present["name"]],
    )
    split = preprocessing.split_groups(
        groups,
        strata=dataset.labels["script"],
        eligible=np.all(masks, axis=0),
        sizes={"test": config.num_test, "validation": config.num_validation},
        seed=seed,
    )
    preprocessing.check_leakage(split, groups)
    return Prepared(dataset, groups, split, _facts(report, groups, split))


_LOADERS = {"glyphs": data.glyphs}


def _clean(raw: data.Dataset) -> tuple[data.Dataset, preprocessing.CleaningReport]:
    cleaned = preprocessing.clean(raw.modalities, raw.present, required=("sans", "name"))
    dataset = data.Dataset(
        modalities=cleaned.modalities,
        present=cleaned.present,
        labels={task: label[cleaned.rows] for task, label in raw.labels.items()},
        label_names=raw.label_names,
        ids=raw.ids[cleaned.rows],
        column_names=raw.column_names,
    )
    return dataset, cleaned.report


def _facts(
    report: preprocessing.CleaningReport,
    groups: Int[np.ndarray, "n"],
    split: dict[str, Int[np.ndarray, "_"]],
) -> dict[str, int]:
    sizes = np.bincount(groups)
    return {
        "samples": len(groups),
        "dropped samples": report.num_dropped,
        "broken entries": sum(report.num_non_finite.values()),
        **{f"missing in {name}": report.num_missing[name] for name in PICTURES},
        "look-alike groups": int((sizes > 1).sum()),
        "look-alike characters": int(sizes[sizes > 1].sum()),
        **{f"{part} samples": len(rows) for part, rows in split.items()},
    }
