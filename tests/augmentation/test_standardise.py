"""Standardisation agrees with Keras' retired generator."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skwbc import FlattenImages, ImageAugmenter, KFoldEnsembleClassifier

OPTIONS = {
    "rescale": {"rescale": 1 / 255},
    "samplewise center": {"samplewise_center": True},
    "samplewise std": {"samplewise_std_normalization": True},
    "featurewise center": {"featurewise_center": True},
    "featurewise std": {"featurewise_std_normalization": True},
    "zca": {"zca_whitening": True, "zca_epsilon": 1e-3},
    "all": {
        "rescale": 1 / 255,
        "samplewise_std_normalization": True,
        "featurewise_std_normalization": True,
    },
    "all and zca": {
        "rescale": 1 / 255,
        "samplewise_std_normalization": True,
        "zca_whitening": True,
    },
}


@pytest.fixture(params=["channels_last", "channels_first"])
def data_format(request):
    return request.param


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    noise = rng.normal(120, 40, (300, 5, 5, 3)) + 20 * rng.normal(size=(300, 1, 1, 3))
    return noise.clip(0, 255).astype(np.float32)


# Keras warns about options that imply others.
@pytest.mark.filterwarnings("ignore:This ImageDataGenerator specifies")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize("n", [300, 40])
def test_equal_to_keras(images, options, data_format, n):
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    images = images[:n]
    if data_format == "channels_first":
        images = np.moveaxis(images, -1, 1)
    generator = ImageDataGenerator(data_format=data_format, **options)
    generator.fit(images)
    expected = np.stack([generator.standardize(image.copy()) for image in images])
    augmenter = ImageAugmenter(data_format=data_format, **options)
    standardised = augmenter.fit_transform(images)
    assert_allclose(
        standardised, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )
    some = augmenter.transform(images[:7])
    assert_allclose(
        some, standardised[:7], rtol=1e-5, atol=1e-6 * np.abs(expected).max()
    )


def test_statistics_of_several_batches():
    shape = (40_000, 6, 4, 3)
    images = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    augmenter = ImageAugmenter(featurewise_std_normalization=True, rescale=1 / 255)
    augmenter.fit(images)
    assert_allclose(augmenter.mean_, (images / 255).mean(axis=(0, 1, 2)))
    assert_allclose(augmenter.std_, (images / 255).std(axis=(0, 1, 2)))
    augmenter.set_params(featurewise_std_normalization=False).fit(images)
    assert not hasattr(augmenter, "mean_")
    assert not hasattr(augmenter, "std_")


def test_whitened_images_have_no_correlation(images):
    augmenter = ImageAugmenter(zca_whitening=True).fit(images)
    rows = augmenter.transform(images).reshape(len(images), -1)
    assert_allclose(rows.T @ rows / len(images), np.eye(75), atol=1e-3)
    assert augmenter.zca_components_.shape == (75, 75)


def test_whitening_leaves_out_directions_without_variation(images):
    twice = np.concatenate([images[:20], images[:20]])
    augmenter = ImageAugmenter(zca_whitening=True).fit(twice)
    assert augmenter.zca_components_.shape == (20, 75)
    assert np.abs(augmenter.transform(images)).max() < 50


def test_whitening_overrides_the_standard_deviation(images):
    augmenter = ImageAugmenter(zca_whitening=True, featurewise_std_normalization=True)
    with pytest.warns(UserWarning, match="overrides featurewise_std_normalization"):
        augmenter.fit(images)


def invert(image):
    """Invert an image; defined here, so that it can be pickled."""
    return 255 - image


def test_a_preprocessing_function_comes_first_and_counts(images):
    augmenter = ImageAugmenter(
        preprocessing_function=invert, rescale=1 / 255, featurewise_center=True
    )
    standardised = augmenter.fit_transform(images)
    assert_allclose(augmenter.mean_, ((255 - images) / 255).mean(axis=(0, 1, 2)), 1e-5)
    assert_allclose(standardised.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    assert_allclose(standardised, (255 - images) / 255 - augmenter.mean_, atol=1e-5)


@pytest.mark.parametrize(
    "function", [lambda image: image[:3], lambda image: None, lambda image: 1j * image]
)
def test_a_preprocessing_function_that_returns_no_image(images, function):
    augmenter = ImageAugmenter(preprocessing_function=function).fit(images)
    with pytest.raises(ValueError, match="preprocessing_function must return"):
        augmenter.transform(images)


@pytest.mark.parametrize("option", OPTIONS)
def test_members_of_an_ensemble_share_steps_that_learn_nothing(
    images, option, monkeypatch
):
    """Neither the predictions nor the user's images change by that."""
    augmenter = ImageAugmenter(rotation_range=20, **OPTIONS[option])
    member = make_pipeline(augmenter, FlattenImages(), GaussianNB())
    y = np.arange(len(images)) % 2
    ensemble = KFoldEnsembleClassifier(member, cv=3, random_state=0).fit(images, y)
    alone = [member.predict_proba(images) for member in ensemble.estimators_]
    standardised = []
    transform = ImageAugmenter.transform
    monkeypatch.setattr(
        ImageAugmenter,
        "transform",
        lambda self, X: (standardised.append(len(X)), transform(self, X))[1],
    )
    before = images.copy()
    assert_array_equal(ensemble.predict_proba_members(images), alone)
    assert_array_equal(images, before)
    learnt = ImageAugmenter(**OPTIONS[option]).fit(images)
    times = 3 if hasattr(learnt, "mean_") else 1
    assert standardised == [len(images)] * times
