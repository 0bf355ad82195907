"""The augmenter in pipelines, and the effects of its options."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from skwbc import AugmentedImages, FlattenImages, ImageAugmenter


def test_transform_standardises_and_nothing_else(noise):
    byte = (noise * 255).astype(np.uint8)
    augmenter = ImageAugmenter(
        rescale=1 / 255,
        samplewise_center=True,
        rotation_range=180,
        stain_jitter=0.2,
        random_state=0,
    )
    out = augmenter.fit(byte).transform(byte)
    expected = byte.astype("float32") / 255
    expected -= expected.mean(axis=(1, 2, 3), keepdims=True)
    assert_allclose(out, expected, atol=1e-6)
    assert_array_equal(out, augmenter.transform(byte))


@pytest.mark.parametrize(
    "option",
    [
        {"rotation_range": 360},
        {"width_shift_range": 0.2},
        {"height_shift_range": 2},
        {"shear_range": 20},
        {"zoom_range": 0.2},
        {"channel_shift_range": 0.3},
        {"brightness_range": (0.5, 1.5)},
        {"horizontal_flip": True},
        {"vertical_flip": True},
        {"stain_jitter": 0.1},
        {"stain_jitter": (0.0, 0.1)},
    ],
    ids=str,
)
def test_each_random_option_changes_images(noise, option):
    drawn = ImageAugmenter(random_state=0, **option).fit_transform(noise)
    assert isinstance(drawn, AugmentedImages)
    changed = drawn.draw(range(6), 0)
    assert np.isfinite(changed).all()
    assert not np.allclose(changed, noise)
    assert not np.allclose(changed, drawn.draw(range(6), 1))


@pytest.mark.parametrize(
    "option",
    [
        {},
        {"width_shift_range": 1},
        {"height_shift_range": [0]},
        {"zoom_range": (1, 1)},
        {"brightness_range": (1, 1)},
        {"stain_jitter": (0, 0)},
        {"fill_mode": "constant", "cval": 3},
        {"rescale": 0.5},
    ],
    ids=str,
)
def test_without_a_random_option_fit_transform_is_transform(noise, option):
    augmenter = ImageAugmenter(samplewise_center=True, **option)
    out = augmenter.fit_transform(noise)
    assert isinstance(out, np.ndarray)
    assert_array_equal(out, augmenter.transform(noise))


@pytest.mark.parametrize(
    ("width_shift_range", "expected"),
    [
        (0.3, None),
        (2.5, None),
        (3, {-2, -1, 0, 1, 2}),
        ([2, 5], {-5, -2, 2, 5}),
        ((0.1, 0.2), {-2, -1, 1, 2}),
        (np.array([0.0, 4.0]), {-4, 0, 4}),
    ],
    ids=str,
)
def test_shifts_mean_what_they_mean_in_keras(noise, width_shift_range, expected):
    # Images are 13 high and 10 wide.
    augmenter = ImageAugmenter(width_shift_range=width_shift_range)
    shift = augmenter.fit_transform(noise).draw_parameters(2000, 0)["shift"]
    assert (shift[:, 0] == 0).all()
    if expected is None:
        limit = {0.3: 3, 2.5: 2.5}[width_shift_range]
        assert (shift.min(), shift.max()) == pytest.approx((-limit, limit), rel=0.01)
    else:
        assert set(shift[:, 1].round(6)) == expected


def test_an_image_is_shifted_by_its_own_name():
    image = np.zeros((1, 9, 7, 1))
    image[0, 4, 3] = 1
    rows = ImageAugmenter(height_shift_range=[2], fill_mode="constant")
    rows = rows.fit_transform(image).draw([0], 0)
    assert set(np.flatnonzero(rows.sum(axis=(0, 2, 3)))) <= {2, 6}
    columns = ImageAugmenter(width_shift_range=[2], fill_mode="constant")
    columns = columns.fit_transform(image).draw([0], 0)
    assert set(np.flatnonzero(columns.sum(axis=(0, 1, 3)))) <= {1, 5}


def test_parameters_count_at_the_next_fit_only(noise):
    augmenter = ImageAugmenter(
        zca_whitening=True, brightness_range=(0.5, 1), rescale=2, random_state=0
    )
    augmented = augmenter.fit_transform(noise)
    expected = augmenter.transform(noise)
    augmenter.set_params(rescale=None, zca_whitening=False, rotation_range=9)
    loaded, images = pickle.loads(pickle.dumps((augmenter, augmented)))
    assert_array_equal(augmenter.transform(noise), expected)
    assert_array_equal(loaded.transform(noise), expected)
    assert_array_equal(images.draw([1, 4], 0), augmented.draw([1, 4], 0))
    assert not np.allclose(loaded.fit(noise).transform(noise), expected)


AUGMENTER = ImageAugmenter(
    rescale=1 / 255, rotation_range=180, horizontal_flip=True, random_state=0
)


@pytest.mark.parametrize(
    "flatten",
    [
        FlattenImages(),
        FunctionTransformer(lambda X: np.asarray(X).reshape(len(X), -1)),
        FunctionTransformer(lambda X: X.reshape(len(X), -1)),
    ],
    ids=["FlattenImages", "asarray", "reshape"],
)
@pytest.mark.parametrize(
    "classifier", [LogisticRegression(C=1e-3), SVC()], ids=["LogisticRegression", "SVC"]
)
def test_scikit_learns_classifiers_get_one_draw(cells, flatten, classifier):
    X, y = cells.images, cells.target
    pipeline = make_pipeline(AUGMENTER, flatten, classifier)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, stratify=y, random_state=0
    )
    pipeline.fit(X_train, y_train)
    assert pipeline.predict(X_test).shape == y_test.shape
    # The same draw each time: the same model.
    first = pipeline.predict(X)
    assert_array_equal(pipeline.fit(X_train, y_train).predict(X), first)
    assert cross_val_score(pipeline, X, y, cv=3).shape == (3,)


def test_augmented_images_are_split_lazily(cells):
    augmented = AUGMENTER.fit_transform(cells.images)
    train, test, y_train, _ = train_test_split(augmented, cells.target, random_state=0)
    assert isinstance(train, AugmentedImages)
    assert (len(train), len(test)) == (18, 6)
    clf = make_pipeline(FlattenImages(), LogisticRegression(C=1e-3)).fit(train, y_train)
    assert cross_val_score(clf, augmented, cells.target, cv=3).shape == (3,)


class Epochs(LogisticRegression):
    """Keeps two draws of what it is trained on."""

    def fit(self, X, y):
        self.draws_ = [X.draw(range(len(X)), epoch) for epoch in range(2)]
        return super().fit(X.reshape(len(X), -1), y)


def test_a_pipelines_memory_does_not_freeze_the_augmentation(cells, tmp_path):
    for _ in range(2):
        # The second time the augmenter is taken from the cache.
        pipeline = Pipeline(
            [("augmenter", AUGMENTER), ("epochs", Epochs(C=1e-3))], memory=str(tmp_path)
        )
        pipeline.fit(cells.images, cells.target)
        first, second = pipeline[-1].draws_
        assert not np.allclose(first, second)


class TestFlattenImages:
    def test_there_and_back(self, noise):
        flatten = FlattenImages()
        rows = flatten.fit_transform(noise)
        assert_array_equal(rows, noise.reshape(6, -1))
        assert_array_equal(flatten.inverse_transform(rows), noise)
        assert len(flatten.get_feature_names_out()) == 13 * 10 * 3
        with pytest.raises(ValueError, match="rows of 390 values for images of shape"):
            flatten.inverse_transform(rows[:, 1:])

    def test_names_for_a_table(self, noise):
        pytest.importorskip("pandas")
        table = FlattenImages().set_output(transform="pandas").fit_transform(noise)
        assert table.shape == (6, 390)
        assert table.columns[-1] == "flattenimages389"
