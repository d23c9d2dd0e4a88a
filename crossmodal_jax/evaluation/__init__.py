"""Evaluates a model on the host: retrieval, missing modalities, probes, translation."""

from crossmodal_jax.evaluation._missing import missing_modality_curve as missing_modality_curve
from crossmodal_jax.evaluation._probe import linear_probe as linear_probe
from crossmodal_jax.evaluation._retrieval import evaluate_retrieval as evaluate_retrieval
from crossmodal_jax.evaluation._translation import evaluate_translation as evaluate_translation
