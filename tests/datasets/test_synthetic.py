"""Synthetic blood cells: reproducible, well formed, learnable, and strict on input."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc.datasets import make_blood_cells, make_blood_smear

ALL = ["neutrophil", "eosinophil", "monocyte", "lymphocyte", "basophil"]
SMALL = {"image_size": (24, 24)}


@pytest.fixture(scope="module")
def data():
    return make_blood_cells(random_state=0)


def test_default_set(data):
    X, y = data
    assert X.shape == (90, 100, 100, 3)
    assert X.dtype == np.uint8
    assert {name: np.sum(y == name) for name in ALL[:3]} == dict.fromkeys(ALL[:3], 30)
    # Shuffled: the first images include every class.
    assert set(y[:20]) == set(ALL[:3])


def test_options():
    classes = ALL[::-1]
    counts = {name: i + 1 for i, name in enumerate(classes)}
    options = {"classes": classes, "image_size": (20, 33), "random_state": 3}
    X, y = make_blood_cells(counts, **options)
    assert X.shape == (15, 20, 33, 3)
    assert {name: np.sum(y == name) for name in classes} == counts


@pytest.mark.parametrize(
    "seed",
    [7, np.random.RandomState, np.random.default_rng],
    ids=["int", "RandomState", "Generator"],
)
def test_same_seed_same_bits(seed):
    def draw(number):
        state = seed(number) if callable(seed) else number
        return make_blood_cells(2, random_state=state, **SMALL)

    first, again, other = draw(7), draw(7), draw(8)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_a_generator_is_advanced():
    rng = np.random.default_rng(0)
    first, _ = make_blood_cells(1, random_state=rng, **SMALL)
    second, _ = make_blood_cells(1, random_state=rng, **SMALL)
    assert not np.array_equal(first, second)


def test_global_random_state_is_neither_used_nor_changed():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first, _ = make_blood_cells(1, **SMALL)
    make_blood_cells(1, random_state=0, **SMALL)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(0)
    assert not np.array_equal(first, make_blood_cells(1, **SMALL)[0])


def test_more_images_and_other_classes_keep_the_earlier_images():
    X_few, y_few = make_blood_cells(2, random_state=5, **SMALL)
    counts = {"eosinophil": 1, "monocyte": 4, "basophil": 1}
    X, y = make_blood_cells(counts, classes=list(counts), random_state=5, **SMALL)
    np.testing.assert_array_equal(X[y == "monocyte"][:2], X_few[y_few == "monocyte"])
    np.testing.assert_array_equal(
        X[y == "eosinophil"], X_few[y_few == "eosinophil"][:1]
    )


def test_images_of_a_class_differ():
    images, _ = make_blood_cells(4, random_state=0, **SMALL)
    assert len({image.tobytes() for image in images}) == 12


def test_classes_are_learnable_but_not_by_colour_alone(data):
    X, y = data
    pixels = X.reshape(len(X), -1, 3)
    spread = np.percentile(pixels, [5, 25, 50, 75, 95], axis=1)
    colours = np.hstack([pixels.mean(axis=1), pixels.std(axis=1), *spread])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    accuracy = cross_val_score(model, colours, y, cv=5).mean()
    assert 0.55 < accuracy < 0.95


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_per_class": 0}, "'n_per_class' parameter .* must be"),
        ({"n_per_class": 2.5}, "'n_per_class' parameter .* must be"),
        ({"n_per_class": True}, "n_per_class is True .*: expected a whole"),
        ({"n_per_class": {"neutrophil": 3}}, r"differ from .*'eosinophil'"),
        (
            {"n_per_class": {"monocyte": 1, "basophil": 1}, "classes": ["monocyte"]},
            r"keys .*'basophil'\], differ from",
        ),
        (
            {"n_per_class": {"monocyte": -1}, "classes": ["monocyte"]},
            "n_per_class is -1 for 'monocyte': expected a whole number",
        ),
        (
            {"n_per_class": {"monocyte": "3"}, "classes": ["monocyte"]},
            "n_per_class is '3' for 'monocyte': expected a whole number",
        ),
        ({"classes": "monocyte"}, "'classes' parameter .* array-like"),
        ({"classes": 3}, "'classes' parameter .* array-like"),
        ({"classes": []}, "expected at least one class"),
        ({"classes": ["monocyte", 3]}, "Unknown class '3'"),
        (
            {"classes": ["Neutrophile"]},
            "Unknown class 'Neutrophile'.*'basophil'.*Did you mean 'neutrophil'",
        ),
        (
            {"classes": ["monocyte", "basophil", "monocyte"]},
            "expected at least one class and none twice",
        ),
        ({"image_size": 100}, "'image_size' parameter .* must be"),
        ({"image_size": (100, 100, 3)}, r"expected 2 .*\(height, width\)"),
        ({"image_size": (15, 100)}, "whole numbers of at least 16"),
        ({"image_size": (100, 50.0)}, "whole numbers of at least 16"),
        ({"random_state": -1}, "'random_state' parameter .* must be"),
        ({"random_state": "0"}, "'random_state' parameter .* must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_blood_cells(**arguments)


def test_smears_have_boxes_around_dark_nuclei():
    options = {"n_cells": 4, "field_size": (160, 200), "random_state": 0}
    fields, boxes, labels = make_blood_smear(2, pixels_per_micrometre=3, **options)
    assert fields.shape == (2, 160, 200, 3)
    assert fields.dtype == np.uint8
    for field, own, names in zip(fields, boxes, labels, strict=True):
        assert own.shape == (len(names), 4)
        assert 0 < len(names) <= 4
        assert set(names) <= set(ALL[:3])
        assert (own >= 0).all()
        assert (own[:, 2:] <= (200, 160)).all()
        red = field[..., 0].astype(float)
        for x0, y0, x1, y1 in own:
            # Nuclei take up red light; red cells and glass do not.
            assert red[y0:y1, x0:x1].min() < 0.7 * np.median(red)
    more, _, _ = make_blood_smear(3, pixels_per_micrometre=3, **options)
    np.testing.assert_array_equal(more[:2], fields)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["neutrophile"]}, "Did you mean 'neutrophil'"),
        ({"field_size": (20, 90)}, "at least 64"),
        ({"touching": 2}, "touching"),
        ({"n_cells": -1}, "n_cells"),
    ],
)
def test_wrong_smears(options, message):
    with pytest.raises(ValueError, match=message):
        make_blood_smear(**options)
