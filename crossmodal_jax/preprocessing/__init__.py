"""Cleaning, imputation, scaling, joining by id, splitting, and checks for leakage."""

from crossmodal_jax.preprocessing._clean import Cleaned as Cleaned
from crossmodal_jax.preprocessing._clean import CleaningReport as CleaningReport
from crossmodal_jax.preprocessing._clean import clean as clean
from crossmodal_jax.preprocessing._duplicates import duplicate_groups as duplicate_groups
from crossmodal_jax.preprocessing._impute import Imputation as Imputation
from crossmodal_jax.preprocessing._impute import fit_imputation as fit_imputation
from crossmodal_jax.preprocessing._impute import impute as impute
from crossmodal_jax.preprocessing._join import Joined as Joined
from crossmodal_jax.preprocessing._join import join_by_id as join_by_id
from crossmodal_jax.preprocessing._leakage import check_leakage as check_leakage
from crossmodal_jax.preprocessing._split import split_groups as split_groups
from crossmodal_jax.preprocessing._standardize import Standardization as Standardization
from crossmodal_jax.preprocessing._standardize import fit_standardization as fit_standardization
from crossmodal_jax.preprocessing._standardize import standardize as standardize
from crossmodal_jax.preprocessing._standardize import unstandardize as unstandardize
