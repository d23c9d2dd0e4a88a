"""`ReportData` refuses what does not belong together."""

import numpy as np
import pytest

from crossmodal_jax.reporting import ReportData, installed_versions


def test_full_and_minimal_data_are_accepted(fields):
    assert ReportData(**fields).query_pictures.shape == (12, 3, 32, 32)
    assert ReportData(title="", metrics={}).similarity is None


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("query_names", ["one"], "`query_names` must have one entry per query, got 1 entries"),
        ("query_best", [], "`query_best` must have one entry per query"),
        ("query_modalities", ("sans",), r"got shape \(12, 3, 32, 32\) and 1 modalities"),
        ("query_present", np.ones((12, 2), bool), r"`query_present` must have shape \[q, m\]"),
        ("similarity", np.ones((12, 11)), r"`similarity` must have shape \[k, k\]"),
        ("similarity", np.full((12, 12), np.nan), "`similarity` must be finite, got 144 values"),
        ("embedding", np.ones((3, 2)), r"`embedding` must have shape \[n, 2\]"),
        ("embedding", np.full((400, 2), np.inf), "`embedding` must be finite"),
        ("fusion_weights", {"sans": np.ones((2, 2))}, r"`fusion_weights\['sans'\]` must be"),
        ("fusion_weights", {"sans": np.nan}, "must be finite"),
        ("translation", {"source": np.ones((2, 4, 4))}, "must hold `source` and `target`"),
        (
            "translation",
            {"source": np.ones((2, 4, 4)), "target": np.ones((3, 4, 4))},
            r"must have shape \[r, h, w\] and one r",
        ),
        (
            "translation",
            {"source": np.ones((2, 4, 4)), "target": np.ones((2, 4, 4)), "names": ["a"]},
            "and 1 names",
        ),
    ],
)
def test_bad_fields_are_named(fields, no_jaxtyping, field, value, message):
    with pytest.raises(ValueError, match=message):
        ReportData(**{**fields, field: value})


def test_versions_name_what_decides_a_result():
    assert {"python", "jax", "numpy", "crossmodal-jax"} <= set(installed_versions())
