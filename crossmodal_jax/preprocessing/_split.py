"""Splits into parts of exact size that keep groups whole and strata in proportion."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int

from crossmodal_jax._typing import ArrayLike


def split_groups(
    groups: Int[ArrayLike, "n"],
    *,
    strata: Int[ArrayLike, "n"] | None = None,
    eligible: Bool[ArrayLike, "n"] | None = None,
    sizes: Mapping[str, int],
    seed: int,
) -> dict[str, Int[np.ndarray, "_"]]:
    """Splits rows into parts of exact size; no group crosses, strata keep their proportions.

    Only groups all of whose rows are eligible enter a part; "train" is everything else. A part of
    size s is due s·p_k rows of stratum k, rounded by largest remainders, with p_k the proportions
    among the rows that may still enter. Groups are drawn at random within these dues; where groups
    leave no exact fit, the last few rows come from other strata. Parts are drawn in their order,
    so that a later part does not change an earlier one. Deterministic in `seed`; on the host.

    Args:
      groups: Group of each row, shape [n]; see `duplicate_groups`.
      strata: Stratum of each row, shape [n], such as a label; None has one stratum.
      eligible: Rows that may enter a part, shape [n]; None lets all.
      sizes: Number of rows of each part; "train" is implied.
      seed: Seed of the random draw.

    Returns:
      The rows [k] of each part in ascending order, "train" first. Together they are all rows, once.

    Raises:
      ValueError: If lengths differ, a size is negative or no exact fit exists, or a part is named
        "train".

    Examples:
      >>> import numpy as np
      >>> groups = np.array([0, 0, 1, 2, 3, 4, 5, 6])
      >>> split = split_groups(groups, strata=np.arange(8) % 2, sizes={"test": 4}, seed=0)
      >>> {name: len(rows) for name, rows in split.items()}
      {'train': 4, 'test': 4}
    """
    groups = np.asarray(groups)
    strata = np.zeros(groups.shape, int) if strata is None else np.asarray(strata)
    eligible = np.ones(groups.shape, bool) if eligible is None else np.asarray(eligible, bool)
    _check_split(groups, strata, eligible, sizes)
    group = np.unique(groups, return_inverse=True)[1]
    stratum = np.unique(strata, return_inverse=True)[1]
    counts = np.zeros((group.max(initial=-1) + 1, stratum.max(initial=-1) + 1), np.int64)
    np.add.at(counts, (group, stratum), 1)
    whole = np.ones(len(counts), bool)
    whole[group[~eligible]] = False
    order = np.random.default_rng(seed).permutation(np.flatnonzero(whole))
    part_of = np.full(len(counts), -1)
    for part, (name, size) in enumerate(sizes.items()):
        pool = order[part_of[order] < 0]
        part_of[pool[_draw(name, counts[pool], size)]] = part
    parts = {"train": -1, **{name: part for part, name in enumerate(sizes)}}
    return {name: np.flatnonzero(part_of[group] == part) for name, part in parts.items()}


def _draw(name: str, counts: Int[np.ndarray, "g k"], size: int) -> list[int]:
    """Positions of groups, in the order given, that sum to exactly `size` rows."""
    due = _largest_remainders(counts.sum(axis=0), size)
    drawn, left = [], []
    for position, count in enumerate(counts):
        if (count <= due).all():
            due = due - count
            drawn.append(position)
        else:
            left.append(position)
    totals = counts.sum(axis=1)
    missing = size - int(totals[drawn].sum())
    # Prefer, for the last few rows, groups that still have a stratum with rows due.
    left.sort(key=lambda position: -np.minimum(counts[position], due).sum())
    fill = _subset_with_sum(totals[left].tolist(), missing)
    if fill is not None:
        return drawn + [left[i] for i in fill]
    every = _subset_with_sum(totals.tolist(), size)
    if every is not None:
        return every
    raise ValueError(
        f"split_groups: part {name!r} must have exactly {size} rows, got {len(totals)} eligible "
        f"groups of {int(totals.sum())} rows that do not add up to it; choose another size, or "
        "draw this part first."
    )


def _largest_remainders(available: Int[np.ndarray, "k"], size: int) -> Int[np.ndarray, "k"]:
    exact = size * available / max(1, available.sum())
    due = np.floor(exact).astype(np.int64)
    most = np.argsort(due - exact, kind="stable")
    due[most[: size - due.sum()]] += 1
    return due


def _subset_with_sum(numbers: Sequence[int], total: int) -> list[int] | None:
    """Positions of positive numbers that add up to `total`, early ones first; None if none do."""
    # Bit s of reachable[i] says whether some of the first i numbers add up to s.
    reachable = [1]
    for number in numbers:
        if reachable[-1] >> total & 1:
            break
        within = (1 << (total + 1)) - 1
        reachable.append((reachable[-1] | reachable[-1] << number) & within)
    if not reachable[-1] >> total & 1:
        return None
    chosen = []
    for i in range(len(reachable) - 1, 0, -1):
        if not reachable[i - 1] >> total & 1:
            chosen.append(i - 1)
            total -= numbers[i - 1]
    return chosen[::-1]


def _check_split(
    groups: np.ndarray, strata: np.ndarray, eligible: np.ndarray, sizes: Mapping[str, int]
) -> None:
    if groups.ndim != 1 or not groups.shape == strata.shape == eligible.shape:
        raise ValueError(
            "split_groups: `groups`, `strata` and `eligible` must share one shape [n], got "
            f"{groups.shape}, {strata.shape} and {eligible.shape}; give one entry per row."
        )
    if "train" in sizes or any(size < 0 for size in sizes.values()):
        raise ValueError(
            "split_groups: `sizes` must name parts other than 'train' with sizes of at least 0, "
            f"got {dict(sizes)}; 'train' is what remains."
        )
