"""Scores: retrieval under ties, classification, regression, and their bootstrap intervals."""

from crossmodal_jax.metrics._bootstrap import bootstrap_interval as bootstrap_interval
from crossmodal_jax.metrics._classification import accuracy as accuracy
from crossmodal_jax.metrics._classification import hits as hits
from crossmodal_jax.metrics._classification import macro_recall as macro_recall
from crossmodal_jax.metrics._regression import r2_score as r2_score
from crossmodal_jax.metrics._retrieval import expected_rank as expected_rank
from crossmodal_jax.metrics._retrieval import recall_at_k as recall_at_k
from crossmodal_jax.metrics._retrieval import reciprocal_rank as reciprocal_rank
