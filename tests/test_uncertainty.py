"""Measures of uncertainty and calibration, against plain loops and known values."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.stats import entropy

from skwbc.ensemble._averaging import average_members
from skwbc.uncertainty import (
    expected_calibration_error,
    mutual_information,
    predictive_entropy,
    vote_disagreement,
)


@st.composite
def member_probabilities(draw):
    """Probabilities of up to 4 members, some of which lack some classes."""
    members, samples, classes = (draw(st.integers(1, 4)) for _ in range(3))
    weights = draw(arrays(float, (members, samples, classes),
                          elements=st.floats(0.01, 1)))  # fmt: skip
    has_class = draw(arrays(bool, (members, classes)))
    # Each member has at least one class.
    has_class[np.arange(members), draw(arrays(int, members, elements=st.integers(
        0, classes - 1)))] = True  # fmt: skip
    weights *= has_class[:, np.newaxis]
    return weights / weights.sum(axis=2, keepdims=True), has_class


@given(member_probabilities())
def test_average_against_plain_loops(members):
    proba, mask = members
    _, samples, classes = proba.shape
    average = average_members(proba, mask)
    for sample in range(samples):
        row = []
        for label in range(classes):
            values = proba[mask[:, label], sample, label].tolist()
            row.append(sum(values) / len(values) if values else 0.0)
        assert_allclose(average[sample], np.array(row) / sum(row), rtol=1e-9)
    if mask.all():
        assert (average == proba.mean(axis=0)).all()


@given(member_probabilities())
def test_bounds(members):
    proba, mask = members
    members, _, classes = proba.shape
    total = predictive_entropy(proba, known_classes=mask)
    assert_allclose(total, entropy(average_members(proba, mask), axis=1), atol=1e-9)
    between = mutual_information(proba, known_classes=mask)
    assert (between >= 0).all()
    assert (total <= np.log(classes) + 1e-9).all()
    if mask.all():
        assert (between <= np.log(min(members, classes)) + 1e-9).all()
        within = entropy(proba, axis=2).mean(axis=0)
        assert_allclose(between, total - within, atol=1e-9)
    votes = vote_disagreement(proba)
    assert ((votes >= 0) & (votes <= 1 - 1 / members + 1e-9)).all()


def test_agreement_and_contradiction():
    sure = np.array([[[1.0, 0.0]], [[1.0, 0.0]]])
    contrary = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    unsure = np.full((2, 1, 2), 0.5)
    assert_allclose(predictive_entropy(sure), 0)
    for measure in (mutual_information, predictive_entropy):
        assert_allclose(measure(contrary), np.log(2))
    assert_allclose(predictive_entropy(unsure), np.log(2))
    assert_allclose(mutual_information(unsure), 0)
    assert_allclose(vote_disagreement(contrary), 0.5)
    assert_allclose(vote_disagreement(sure), 0)


@pytest.mark.parametrize("measure", [predictive_entropy, mutual_information])
def test_wrong_input(measure):
    with pytest.raises(ValueError, match="n_members, n_samples, n_classes"):
        measure([[0.5, 0.5]])
    with pytest.raises(ValueError, match="sum to 1"):
        measure([[[0.5, 0.9]]])
    with pytest.raises(ValueError, match="sum to 1"):
        measure([[[-0.5, 1.5]]])


@given(st.integers(1, 40), st.integers(2, 4), st.integers(1, 12), st.integers(0, 2**32))
def test_calibration_error_against_plain_loops(n_samples, n_classes, n_bins, seed):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(n_classes, 0.5), n_samples)
    names = np.array(["a", "b", "c", "d"])[:n_classes]
    truth = rng.choice(names, n_samples)
    error = 0.0
    for k in range(n_bins):
        inside = [
            (row.max(), names[row.argmax()] == label)
            for row, label in zip(proba, truth, strict=True)
            if k / n_bins < row.max() <= (k + 1) / n_bins
        ]
        if inside:
            confidence, right = np.mean(inside, axis=0)
            error += len(inside) / n_samples * abs(confidence - right)
    result = expected_calibration_error(truth, proba, classes=names, n_bins=n_bins)
    assert_allclose(result, error, atol=1e-9)
    # Rows without probabilities do not count.
    proba = np.vstack([proba, np.full(n_classes, np.nan)])
    again = expected_calibration_error(
        [*truth, "a"], proba, classes=names, n_bins=n_bins
    )
    assert again == result


@pytest.mark.parametrize("n_bins", [5, 10, 15])
@pytest.mark.parametrize("n_neighbours", [3, 5, 15])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_calibration_error_of_confidences_on_the_edges(n_bins, n_neighbours, dtype):
    """Of nearest neighbours, by the definition of Guo et al. in exact fractions."""
    rng = np.random.default_rng(n_bins + n_neighbours)
    votes = rng.integers(0, n_neighbours + 1, 200)
    truth = rng.integers(0, 2, 200)
    # As a sum of weights, which is rounded.
    first = np.cumsum(np.full(n_neighbours, 1 / n_neighbours, dtype))
    first = np.concatenate([np.zeros(1, dtype), first])[votes]
    proba = np.stack([first, 1 - first], axis=1)
    confidence = [Fraction(max(v, n_neighbours - v), n_neighbours) for v in votes]
    right = [
        int(v * 2 < n_neighbours) == label
        for v, label in zip(votes, truth, strict=True)
    ]
    error = Fraction(0)
    for m in range(1, n_bins + 1):
        inside = [
            k for k, conf in enumerate(confidence)
            if Fraction(m - 1, n_bins) < conf <= Fraction(m, n_bins)
        ]  # fmt: skip
        accuracy = sum(right[k] for k in inside)
        error += abs(accuracy - sum(confidence[k] for k in inside)) / len(votes)
    result = expected_calibration_error(truth, proba, classes=[0, 1], n_bins=n_bins)
    assert result == pytest.approx(float(error), abs=1e-6)


def test_calibration_error_of_certainty():
    sure = np.eye(2)
    assert expected_calibration_error([0, 1], sure, classes=[0, 1]) == 0
    assert expected_calibration_error([1, 0], sure, classes=[0, 1]) == 1


@pytest.mark.parametrize(
    ("y", "proba", "message"),
    [
        (["x"], [[0.5, 0.5]], "does not know the labels"),
        (["a", "b"], [[0.5, 0.5]], "inconsistent numbers"),
        (["a"], [[0.2, 0.3, 0.5]], "3 columns, but there are 2 classes"),
        (["a"], [[0.2, 0.3]], "sum to 1"),
        (["a"], [[np.nan, np.nan]], "Each row of y_proba has NaN"),
    ],
)
def test_wrong_input_of_calibration_error(y, proba, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(y, proba, classes=["a", "b"])
