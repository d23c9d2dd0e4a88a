"""A run that is as small as a run can be."""

import pytest

from crossmodal_jax import pipeline


@pytest.fixture(scope="session")
def tiny():
    """Configuration of a run of a few seconds."""
    return pipeline.RunConfig(
        prepare=pipeline.PrepareConfig(size=16, num_test=20, num_validation=20, max_samples=300),
        features=pipeline.FeatureConfig(
            cells=(8, 4),
            picture_columns=48,
            picture_dim=12,
            word_columns=64,
            character_columns=64,
            name_columns=64,
            name_dim=12,
            outline_points=8,
            outline_dim=4,
        ),
        closed_form=pipeline.ClosedFormConfig(
            dims=(4, 8), cca_powers=(1.0,), cca_l2=(0.1,), ridge_l2=(0.1,)
        ),
        learned=pipeline.LearnedConfig(
            hidden=16, dim=8, num_steps=6, batch_size=32, steps_per_dispatch=2
        ),
        sweep=pipeline.SweepConfig(
            learning_rates=(1e-6, 1e-2),
            weight_decays=(0.1,),
            temperatures=(0.1,),
            num_steps=4,
            batch_size=32,
        ),
        evaluate=pipeline.EvaluateConfig(
            num_resamples=10, num_queries_shown=2, num_pictures_shown=2
        ),
    )


@pytest.fixture(scope="session")
def prepared(tiny):
    """Its samples."""
    return pipeline.prepare(tiny.prepare, seed=0)


@pytest.fixture(scope="session")
def features(tiny, prepared):
    """Their features."""
    return pipeline.extract(tiny.features, prepared)[1]
