"""Rows of statistics of the colours of images."""

import colorsys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from skwbc import ColourStatistics, KFoldEnsembleClassifier
from skwbc.datasets import load_image_folder, make_blood_cells, save_image_folder


@pytest.fixture(scope="module")
def cells():
    images, target = make_blood_cells(20, image_size=(64, 64), random_state=3)
    return Bunch(images=images, target=target)


def named(images, **params):
    statistics = ColourStatistics(**params)
    row = statistics.fit_transform(np.asarray(images)[np.newaxis])[0]
    return dict(zip(statistics.get_feature_names_out(), row, strict=True))


def test_image_of_known_colours():
    """One pixel in four is violet, the others are white."""
    image = np.full((8, 8, 3), 255, np.uint8)
    image[::2, ::2] = (102, 51, 153)
    features = named(image, radius=None)
    hue, saturation, value = colorsys.rgb_to_hsv(0.4, 0.2, 0.6)
    assert len(features) == 72
    assert features["mean_red"] == pytest.approx(0.25 * 0.4 + 0.75)
    assert features["std_green"] == pytest.approx(0.8 * np.sqrt(0.25 * 0.75))
    # A quarter of the pixels has the smaller of two values.
    assert features["skewness_blue"] == pytest.approx(-0.5 / np.sqrt(0.1875), rel=1e-4)
    assert features["p5_hue"] == pytest.approx((hue + 0.5) % 1, abs=1e-3)
    assert features["p95_saturation"] == pytest.approx(saturation, abs=1e-3)
    assert features["p5_value"] == pytest.approx(value, abs=1e-3)
    assert features["p50_haematoxylin"] == pytest.approx(0, abs=1e-6)


def test_stains_are_separated():
    # Ruifrok and Johnston's optical densities of pure haematoxylin.
    density = np.array([0.65, 0.70, 0.29])
    density /= np.linalg.norm(density)
    features = named(np.broadcast_to(10**-density, (4, 4, 3)), radius=None)
    assert features["mean_haematoxylin"] == pytest.approx(1, abs=1e-4)
    assert features["mean_eosin"] == pytest.approx(0, abs=1e-4)
    assert features["mean_residual"] == pytest.approx(0, abs=1e-4)


def test_only_the_disc_counts(cells):
    X = cells.images.copy()
    rows = ColourStatistics(radius=0.5).fit(X).transform(X)
    rows_turned = ColourStatistics(radius=0.5).fit_transform(np.rot90(X, 1, (1, 2)))
    assert_allclose(rows_turned, rows, rtol=1e-6, atol=1e-9)
    y, x = np.ogrid[:64, :64]
    X[:, np.hypot(y - 31.5, x - 31.5) >= 16] = 0
    assert_array_equal(ColourStatistics(radius=0.5).fit_transform(X), rows)
    assert not np.allclose(ColourStatistics(radius=0.6).fit_transform(X), rows)


@pytest.mark.parametrize("scale", [1 / 255, 4095 / 255, 257.0])
def test_the_scale_of_the_values_does_not_matter(cells, scale):
    expected = ColourStatistics().fit_transform(cells.images)
    scaled = cells.images * scale
    # White occurs, so that the scale is known.
    scaled[0, 0, 0] = 255 * scale
    assert_allclose(
        ColourStatistics().fit_transform(scaled), expected, rtol=1e-3, atol=1e-4
    )


def test_enough_to_classify_cells(cells, tmp_path):
    clf = make_pipeline(
        ColourStatistics(), StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)
    )
    assert cross_val_score(clf, cells.images, cells.target, cv=4).mean() > 0.7
    save_image_folder(cells.images, cells.target, tmp_path / "cells")
    lazy = load_image_folder(tmp_path / "cells", image_size=(64, 64), lazy=True).images
    whole = np.asarray(lazy)
    assert_array_equal(
        clone(clf[0]).fit_transform(lazy), clone(clf[0]).fit_transform(whole)
    )


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_channels_of_other_images_are_described_as_they_are(cells, channels):
    X = cells.images[:5, :, :, [0, 1, 2, 0][:channels]]
    statistics = ColourStatistics().fit(X)
    names = statistics.get_feature_names_out().tolist()
    rows = statistics.transform(X)
    assert rows.shape == (5, 8 * channels)
    assert names[-1] == f"p95_{channels - 1}"
    colours = ColourStatistics().fit(cells.images[:5])
    expected = colours.transform(cells.images[:5])
    red = colours.get_feature_names_out().tolist().index("p95_red")
    assert_array_equal(rows[:, names.index("p95_0")], expected[:, red])


def test_wrong_input(cells):
    X = cells.images
    with pytest.raises(ValueError, match=r"\(n_samples, height, width, channels\)"):
        ColourStatistics().fit(X[0])
    with pytest.raises(ValueError, match="The 'radius' parameter"):
        ColourStatistics(radius=0).fit(X)
    with pytest.raises(ValueError, match="leaves no pixel"):
        ColourStatistics(radius=0.001).fit(X)
    fitted = ColourStatistics().fit(X)
    with pytest.raises(ValueError, match="32"):
        fitted.transform(X[:, :32])
    with pytest.raises(NotFittedError):
        ColourStatistics().transform(X)


def test_members_of_an_ensemble_describe_an_image_once(cells, monkeypatch):
    """All members have learnt the same, unless their parameters differ."""
    X, y = cells.images.copy(), cells.target
    linear = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    ensemble = KFoldEnsembleClassifier(linear, cv=3, random_state=0).fit(X, y)
    described = []
    transform = ColourStatistics.transform
    monkeypatch.setattr(
        ColourStatistics,
        "transform",
        lambda self, X: (described.append(len(X)), transform(self, X))[1],
    )
    together = ensemble.predict_proba_members(X[:5])
    assert described == [5]
    alone = [member.predict_proba(X[:5]) for member in ensemble.estimators_]
    assert_array_equal(together, alone)

    # Nothing is kept for an array that has changed, or for other parameters.
    X[:5] = X[5:10]
    ensemble.estimators_[1][0].radius = 0.5
    changed = ensemble.predict_proba_members(X[:5])
    alone = [member.predict_proba(X[:5]) for member in ensemble.estimators_]
    assert_array_equal(changed, alone)
