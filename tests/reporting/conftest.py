"""A report made of noise and of letters drawn by matplotlib: what a run would give."""

import numpy as np
import pytest

FONTS = ("sans", "serif", "mono")
NAMES = [
    "LATIN SMALL LETTER A",
    "GREEK CAPITAL LETTER OMEGA WITH DASIA AND PERISPOMENI AND PROSGEGRAMMENI",
    "ARABIC LIGATURE UIGHUR KIRGHIZ YEH WITH HAMZA ABOVE WITH ALEF MAKSURA ISOLATED FORM",
    "CYRILLIC SMALL LETTER SHORT I WITH TAIL",
    "RIGHTWARDS ARROW WITH CORNER DOWNWARDS",
    "N-ARY UNION",
]
SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARABIC", "BRAILLE", "BOX", "MATHEMATICAL")


def pictures(rng, count, size=32):
    """Shapes with soft edges, so that something can be seen in a picture."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    a, b = rng.uniform(0.15, 0.4, (2, count, 1, 1))
    ring = np.abs(np.hypot(x / a, y / b) - 1) * np.minimum(a, b)
    return np.clip(1.5 - 30 * ring, 0, 1).astype(np.float32)


def metrics():
    flat = {}
    sources = [*FONTS, "+".join(FONTS), "+".join(FONTS) + "|drop1", "+".join(FONTS) + "|drop2"]
    for method, base in (("cca", 0.45), ("learned", 0.57)):
        for source, gain in zip(sources, (0, -0.02, -0.04, 0.09, 0.06, 0.01), strict=True):
            key = f"test/retrieval/{source}->name/{method}"
            value = base + gain
            flat[f"{key}/recall_at_1"] = value
            flat[f"{key}/recall_at_1_low"] = value - 0.04
            flat[f"{key}/recall_at_1_high"] = value + 0.04
            flat[f"{key}/recall_at_5"] = value + 0.2
            flat[f"{key}/recall_at_10"] = value + 0.28
            flat[f"{key}/median_rank"] = 1.0 if value > 0.5 else 2.0
            flat[f"{key}/chance_recall_at_1"] = 0.002
    flat["test/translate/sans->serif/ridge/r2"] = 0.71
    flat["test/classify/script/learned/accuracy"] = 0.91
    flat["test/classify/script/learned/accuracy_low"] = 0.89
    flat["test/classify/script/learned/accuracy_high"] = 0.93
    return flat


@pytest.fixture(scope="session")
def fields():
    """Keyword arguments of a full `ReportData`; a test may change some."""
    rng = np.random.default_rng(0)
    names = [f"{NAMES[i % len(NAMES)]}{'' if i < len(NAMES) else f' {i}'}" for i in range(12)]
    best = []
    for i, name in enumerate(names):
        answers = [
            (NAMES[(i + k) % len(NAMES)] + f" VARIANT {k}", 0.9 - 0.1 * k, False) for k in range(5)
        ]
        if i % 4:
            answers[0 if i % 3 else 2] = (name, 0.9, True)
        best.append(answers)
    steps = np.arange(0, 800, 10)
    history = [
        {"step": int(s), "loss": float(7 * np.exp(-s / 200) + rng.uniform(0, 0.2))} for s in steps
    ]
    for record in history[::8]:
        record["validation/recall_at_1"] = 0.65 * (1 - np.exp(-record["step"] / 150))
    labels = [SCRIPTS[i % 7] if rng.uniform() < 0.9 else f"RARE{i % 13}" for i in range(400)]
    centres = {label: rng.normal(size=2) * 3 for label in sorted(set(labels))}
    points = np.stack([centres[label] + rng.normal(size=2) for label in labels])
    present = np.ones((12, 3), bool)
    present[::5, 1] = False
    source, target = pictures(rng, 10), pictures(rng, 10)
    return {
        "title": "glyphs, seed 0",
        "metrics": metrics(),
        "config": {
            "seed": 0,
            "model": {"dim": 256, "dropout": 0.1},
            "sweep": {"rates": (1e-3, 3e-3)},
        },
        "facts": {"samples": 5818, "look-alikes": 1204, "test": 500, "seconds": 93.2},
        "history": history,
        "sweep": [
            {
                "learning_rate": r,
                "weight_decay": w,
                "recall_at_1": 0.6 + r * 10 - w,
                "chosen": r == 3e-3 and w == 0.01,
            }
            for r in (1e-3, 3e-3)
            for w in (0.01, 0.1)
        ],
        "query_modalities": FONTS,
        "query_pictures": np.stack([pictures(rng, 12) for _ in range(3)], 1),
        "query_present": present,
        "query_names": names,
        "query_best": best,
        "similarity": rng.normal(size=(12, 12)) * 0.2 + np.eye(12),
        "similarity_names": names,
        "embedding": points,
        "embedding_labels": labels,
        "fusion_weights": {font: rng.beta(4, 6, 300) for font in FONTS},
        "missing_curves": {
            method: {
                k: (base - 0.05 * k, base - 0.05 * k - 0.04, base - 0.05 * k + 0.04)
                for k in range(3)
            }
            for method, base in (("cca", 0.54), ("learned", 0.66))
        },
        "translation": {
            "source": source,
            "ridge": (source + target) / 2,
            "target": target,
            "names": names[:10],
        },
    }
