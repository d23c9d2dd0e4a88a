"""All losses side by side, from their docstrings while the site is built; what a ring sends."""

import inspect

from _operators import markdown

from crossmodal_jax import losses

# For each loss what its value and gradient take: memory beside their arguments, and products. N
# rows of width D; "slab" is a slab of rows of the scores, 16 MiB at most.
_SLAB = "N·D + slab"
_ROWS = "N·D"
FAMILIES = {
    "Softmax over pairs": {
        "clip_loss": (_SLAB, "8 N²D"),
        "supcon_loss": (_SLAB, "8 N²D"),
        "ntxent_loss": (_SLAB, "24 N²D for N pairs of views"),
        "hard_negative_loss": (_SLAB, "16 N²D"),
        "soft_target_loss": (_SLAB, "10 N²D, with a teacher 16 N²D"),
        "symile_loss": (_SLAB, "8 N²D for each modality"),
        "token_cross_entropy": ("(T + V)·D + slab", "8 TVD for T tokens and V words"),
    },
    "Sigmoid over pairs": {
        "siglip_loss": (_SLAB, "6 N²D for a mean, 8 N²D for other sums"),
        "matching_loss": ("N", "–"),
        "sample_negatives": (_SLAB, "2 N²D, no gradient"),
    },
    "Margins and ranking": {
        "hinge_loss": (_SLAB, "8 N²D, for the hardest 4 N²D"),
        "triplet_loss": (_ROWS, "–"),
        "multi_similarity_loss": (_SLAB, "8 N²D"),
        "circle_loss": (_SLAB, "8 N²D"),
    },
    "Many modalities, and the past": {
        "pairwise_loss": ("that of the loss", "M (M − 1) / 2 times the loss"),
        "init_memory_queue": ("the queue", "–"),
        "update_memory_queue": ("the queue", "–"),
    },
    "Without negatives": {
        "barlow_twins": ("the smaller of D² and N²", "6 ND² or 12 N²D"),
        "vicreg": ("the smaller of D² and N²", "12 ND² or 12 N²D"),
        "alignment_loss": (_ROWS, "–"),
        "uniformity_loss": (_SLAB, "6 N²D"),
        "cca_loss": ("the smaller of D² and N²", "O(ND² + D³)"),
        "eigengame_loss": ("D²", "O(MND²)"),
        "gradient_reversal": ("–", "–"),
    },
    "Between distributions": {
        "mmd_loss": (_SLAB, "24 N²D"),
        "hsic_loss": (_SLAB, "12 N²D"),
        "coral_loss": ("D²", "O(ND²)"),
        "cmd_loss": (_ROWS, "–"),
        "sinkhorn_divergence": (_SLAB, "O(N²D) for each iteration"),
    },
    "Generative models": {
        "elbo_loss": ("N·M", "–"),
        "mvtcae_loss": ("N·M", "–"),
        "jmvae_loss": ("N·M", "–"),
        "mmvae_loss": ("K·N·M", "–"),
        "dreg_samples": ("–", "–"),
        "gaussian_divergence": (_ROWS, "–"),
        "gaussian_log_likelihood": (_ROWS, "–"),
        "laplace_log_likelihood": (_ROWS, "–"),
        "bernoulli_log_likelihood": (_ROWS, "–"),
    },
    "Predictions": {
        "softmax_cross_entropy": ("N·C", "–"),
        "evidential_loss": ("N·C", "–"),
        "symmetric_divergence": ("N·C", "–"),
        "squared_error": (_ROWS, "–"),
        "absolute_error": (_ROWS, "–"),
        "huber_loss": (_ROWS, "–"),
        "cosine_loss": (_ROWS, "–"),
        "refinement_loss": (_ROWS, "–"),
        "cycle_loss": ("that of the translations", "those of the translations"),
        "functional_entropy_loss": ("that of the model", "a gradient of the model for each sample"),
    },
}
_LOCAL_ROWS, _WIDTH = 4096, 1024


def page(_app, docname, source):
    """Puts the tables where the page has its marks; a handler of `source-read`."""
    if docname == "concepts/losses":
        families = "\n".join(_family(title, family) for title, family in FAMILIES.items())
        text = source[0].replace("<!-- losses -->", families)
        source[0] = text.replace("<!-- ring -->", _ring())


def _family(title: str, family: dict[str, tuple[str, str]]) -> str:
    head = [f"### {title}", "", "| loss | | memory | products |", "|---|---|---|---|"]
    return "\n".join([*head, *(_row(name, *cost) for name, cost in family.items()), ""])


def _row(name: str, memory: str, products: str) -> str:
    first = inspect.getdoc(getattr(losses, name)).partition("\n\n")[0]
    link = f"{{py:func}}`{name} <crossmodal_jax.losses.{name}>`"
    return f"| {link} | {markdown(first)} | {memory} | {products} |"


def _ring() -> str:
    """What one device sends and multiplies in a step of `ring_clip_loss`, by arithmetic."""
    head = [
        "| devices | pairs | sent by each, bfloat16 | float32 | products of each | all logits |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    rows = []
    for devices in (8, 64, 256, 1024, 4096):
        pairs = devices * _LOCAL_ROWS
        sent = [pairs * _WIDTH * (2 * width + 4) for width in (2, 4)]
        products = 8 * pairs * _LOCAL_ROWS * _WIDTH
        rows.append(
            f"| {devices:,} | {pairs:,} | {_bytes(sent[0])} | {_bytes(sent[1])} "
            f"| {products / 1e12:,.1f} TFLOP | {_bytes(4 * pairs**2)} |"
        )
    return "\n".join([*head, *rows])


def _bytes(count: float) -> str:
    for unit in ("MiB", "GiB", "TiB"):
        count /= 2**20 if unit == "MiB" else 2**10
        if count < 1000:
            return f"{count:,.1f} {unit}"
    return f"{count:,.0f} TiB"
