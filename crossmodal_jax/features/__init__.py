"""Raw data into feature vectors: pictures, strings, trajectories; and which features to keep."""

from crossmodal_jax.features._image import hog as hog
from crossmodal_jax.features._selection import Selection as Selection
from crossmodal_jax.features._selection import fit_selection as fit_selection
from crossmodal_jax.features._selection import select as select
from crossmodal_jax.features._series import resample_trajectory as resample_trajectory
from crossmodal_jax.features._text import Tfidf as Tfidf
from crossmodal_jax.features._text import fit_tfidf as fit_tfidf
from crossmodal_jax.features._text import hashed_ngrams as hashed_ngrams
from crossmodal_jax.features._text import tfidf as tfidf
