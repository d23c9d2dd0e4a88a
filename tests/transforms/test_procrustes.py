import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.spatial
import scipy.stats

from crossmodal_jax.transforms import procrustes

FITS = {
    (kind, scaled): jax.jit(procrustes(kind=kind, scaled=scaled).fit)
    for kind in ("orthogonal", "special")
    for scaled in (False, True)
}


def data(n=30, dx=4, dy=4, seed=0):
    rng = np.random.default_rng(seed)
    x = 2 + rng.normal(size=(n, dx)) * np.linspace(2, 0.5, dx)
    y = x @ rng.normal(size=(dx, dy)) + 0.5 * rng.normal(size=(n, dy)) - 7
    return x, y


@pytest.mark.parametrize("kind", ["orthogonal", "special"])
@pytest.mark.parametrize("scaled", [False, True])
def test_planted_motion_is_recovered(kind, scaled, x64):
    x, _ = data(dx=5)
    rotation = scipy.stats.special_ortho_group.rvs(5, random_state=0)
    if kind == "orthogonal":
        rotation[0] *= -1  # a reflection
    scale = 2.5 if scaled else 1.0
    y = 3 + scale * (x @ rotation)
    t = procrustes(kind=kind, scaled=scaled)
    params = FITS[kind, scaled](x, y)
    np.testing.assert_allclose(params.rotation, rotation, atol=1e-12)
    np.testing.assert_allclose(params.scale, scale, atol=1e-12)
    np.testing.assert_allclose(t.apply(params, x), y, atol=1e-12)
    np.testing.assert_allclose(t.inverse(params, y), x, atol=1e-12)
    np.testing.assert_allclose(params.residual, 0, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
def test_rotation_and_scale_match_scipy(shape, x64):
    x, y = data(dx=shape[0], dy=shape[1])
    xc, yc = x - x.mean(0), y - y.mean(0)
    params = FITS["orthogonal", True](x, y)
    np.testing.assert_allclose(
        FITS["orthogonal", False](x, y).rotation, params.rotation, atol=1e-12
    )
    if shape[0] == shape[1]:
        rotation, sum_of_values = scipy.linalg.orthogonal_procrustes(xc, yc)
        np.testing.assert_allclose(params.scale, sum_of_values / np.sum(xc**2), rtol=1e-10)
    else:
        rotation = scipy.linalg.polar(xc.T @ yc)[0]
    np.testing.assert_allclose(params.rotation, rotation, atol=1e-10)
    image = (xc @ rotation).ravel()
    scale = scipy.linalg.lstsq(image[:, None], yc.ravel())[0]
    np.testing.assert_allclose(params.scale, scale[0], rtol=1e-10)


def test_standardised_shapes_match_scipy_spatial(x64):
    x, y = data()
    first, second, disparity = scipy.spatial.procrustes(y, x)
    standard = (x - x.mean(0)) / np.linalg.norm(x - x.mean(0))
    params = FITS["orthogonal", True](standard, first)
    got = procrustes().apply(params, standard)
    np.testing.assert_allclose(got, second, atol=1e-10)
    np.testing.assert_allclose(np.trace(params.residual) * len(x), disparity, rtol=1e-9)


@pytest.mark.parametrize("shape", [(3, 3), (3, 5)])
def test_no_other_rotation_is_nearer(shape, x64):
    x, y = data(dx=shape[0], dy=shape[1])
    y[:, 0] *= -1  # whichever of the two has the reflection
    xc, yc = x - x.mean(0), y - y.mean(0)
    for kind in ("orthogonal", "special"):
        q = np.asarray(FITS[kind, False](x, y).rotation)
        error = np.sum((xc @ q - yc) ** 2)
        group = scipy.stats.special_ortho_group if kind == "special" else scipy.stats.ortho_group
        others = group.rvs(shape[1], 300, random_state=0)[:, : shape[0]]
        assert (np.sum((xc @ others - yc) ** 2, axis=(1, 2)) >= error).all()
        # Nor is one beside it.
        small = np.random.default_rng(0).normal(size=(50, shape[1], shape[1])) * 1e-3
        beside = q @ scipy.linalg.expm(small - small.transpose(0, 2, 1))
        assert (np.sum((xc @ beside - yc) ** 2, axis=(1, 2)) >= error).all()


def test_special_has_determinant_one_and_differs_only_for_reflections(x64):
    x, y = data()
    signs = set()
    for flip in (1, -1):
        y[:, 0] *= flip
        free, special = (FITS[kind, False](x, y).rotation for kind in ("orthogonal", "special"))
        np.testing.assert_allclose(np.linalg.det(special), 1, atol=1e-10)
        sign = np.sign(np.linalg.det(free))
        signs.add(sign)
        assert np.allclose(free, special) == (sign > 0)
    assert signs == {1.0, -1.0}


def test_narrower_y_is_rotated_as_if_padded_and_reconstructs_x(x64):
    x, y = data(dx=5, dy=3)
    padded = np.hstack([y, np.zeros((30, 2))])
    params = FITS["orthogonal", False](x, y)
    whole = FITS["orthogonal", False](x, padded).rotation
    np.testing.assert_allclose(params.rotation, whole[:, :3], atol=1e-10)
    back = FITS["orthogonal", False](y, x).rotation
    np.testing.assert_allclose(params.rotation, np.asarray(back).T, atol=1e-10)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_inverse_of_a_rectangular_map_is_one_sided(shape, x64):
    x, y = data(dx=shape[0], dy=shape[1])
    t = procrustes(scaled=True)
    params = FITS["orthogonal", True](x, y)
    if shape[0] < shape[1]:
        np.testing.assert_allclose(t.inverse(params, t.apply(params, x)), x, atol=1e-10)
    else:
        np.testing.assert_allclose(t.apply(params, t.inverse(params, y)), y, atol=1e-10)


def test_one_column_cannot_be_rotated_to_its_negative(x64):
    x, _ = data(dx=1)
    params = FITS["special", True](x, -x)
    np.testing.assert_array_equal(params.rotation, [[1.0]])
    assert params.scale == 0
    np.testing.assert_allclose(procrustes().inverse(params, x), np.full_like(x, x.mean()))
    np.testing.assert_allclose(FITS["orthogonal", True](x, -x).rotation, [[-1.0]])


@functools.partial(jax.jit, static_argnums=(2, 3))
@functools.partial(jax.value_and_grad, argnums=(0, 1))
def prediction_loss(x, y, kind, scaled):
    t = procrustes(kind=kind, scaled=scaled)
    params = t.fit(x, y)
    return jnp.mean(jnp.sin(t.apply(params, x[:5] ** 2))) + jnp.trace(params.residual)


def symmetric_cloud(shape):
    """Sides whose cross-covariance has one singular value, repeated."""
    x = np.concatenate([np.eye(shape[0]), -np.eye(shape[0])])
    return 1 + x, x @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0][
        : shape[0], : shape[1]
    ]


@pytest.mark.parametrize("cloud", [data, symmetric_cloud])
@pytest.mark.parametrize(
    ("kind", "scaled", "shape"),
    [
        ("orthogonal", True, (4, 4)),
        ("special", False, (4, 4)),
        ("orthogonal", True, (3, 5)),
        ("orthogonal", True, (5, 3)),
    ],
)
def test_gradients_through_the_fit_match_differences(cloud, kind, scaled, shape, x64):
    if cloud is data:
        x, y = data(dx=shape[0], dy=shape[1])
    else:
        x, y = symmetric_cloud(shape)
        if shape == (4, 4):
            y = x @ scipy.stats.special_ortho_group.rvs(4, random_state=0)
        if shape[0] > shape[1]:
            x = x @ np.diag([1, 1, 1, 2, 3])
    rng = np.random.default_rng(2)
    directions = rng.normal(size=x.shape), rng.normal(size=y.shape)
    gradients = prediction_loss(x, y, kind, scaled)[1]
    got = sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True))
    ahead, behind = (
        prediction_loss(x + s * directions[0], y + s * directions[1], kind, scaled)[0]
        for s in (1e-5, -1e-5)
    )
    np.testing.assert_allclose(got, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_of_degenerate_data_are_finite(scaled, strict):
    x = np.ones((6, 3), np.float32)
    for side in (x, np.eye(6, 3, dtype=np.float32)):
        gradients = prediction_loss(side, x, "special", scaled)[1]
        assert all(np.isfinite(g).all() for g in gradients)


def test_unknown_kind_is_named():
    with pytest.raises(ValueError, match=r"procrustes: `kind` .* did you mean 'special'"):
        procrustes(kind="speical")
