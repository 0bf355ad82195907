"""Labels that are accepted, and errors that say which ones are wrong."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

from skwbc import CNNClassifier, KFoldEnsembleClassifier, SoftVotingClassifier
from skwbc.uncertainty import expected_calibration_error

NAN = float("nan")
X, CODES = load_iris(return_X_y=True)
X, CODES = X[::5], CODES[::5]


def classifiers():
    yield KFoldEnsembleClassifier(GaussianNB(), cv=2), X
    yield SoftVotingClassifier([("bayes", GaussianNB())]), X
    # Labels are checked before the network is built.
    yield CNNClassifier(), np.zeros((len(X), 8, 8, 1))


def labelled(labels, kind):
    return kind([labels[code] for code in CODES])


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series])
@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (["a", "b", "c"], "U"),
        ([3, 1, 2], "i"),
        ([1.0, 2.0, 4.0], "f"),
        ([True, False, True], "b"),
    ],
)
def test_labels_keep_their_type(labels, dtype, kind):
    for classifier, samples in list(classifiers())[:2]:
        classes = classifier.fit(samples, labelled(labels, kind)).classes_
        assert classes.tolist() == sorted(set(labels))
        assert classes.dtype.kind == (
            "O" if kind is pd.Series and dtype == "U" else dtype
        )


def test_integers_of_pandas_stay_integers():
    y = pd.Series(CODES, dtype="Int64")
    classifier = KFoldEnsembleClassifier(GaussianNB(), cv=2).fit(X, y)
    assert classifier.classes_.dtype.kind == "i"


@pytest.mark.parametrize(
    "y",
    [
        labelled(["a", "b", None], list),
        labelled(["a", "b", NAN], list),
        np.array(labelled(["a", "b", NAN], list), dtype=object),
        labelled([0.0, 1.0, NAN], np.array),
        labelled([0, 1, None], list),
        pd.Series(labelled(["a", "b", None], list), dtype="string"),
        pd.Series(labelled(["a", "b", None], list), dtype="category"),
        pd.Series(labelled([0, 1, None], list), dtype="Int64"),
        pd.Series(labelled(["a", "b", pd.NaT], list), dtype=object),
    ],
)
def test_missing_labels_are_counted_and_located(y):
    first = np.flatnonzero(CODES == 2)[0]
    for classifier, samples in classifiers():
        message = (
            rf"NaN: 10 of 30 samples have no label \(positions {first}, .*, \.\.\.\)"
        )
        with pytest.raises(ValueError, match=message):
            classifier.fit(samples, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            labelled([1, 2, 3], np.array).astype(object),
            r"objects, which are int.*astype\(i",
        ),
        (pd.Series(CODES == 0, dtype=object), r"Convert it, with y.astype\(bool\)"),
        (None, "1d array of class labels, one per sample; got None"),
        ("a" * 30, "got a str"),
        (
            labelled([1, 2, "a"], list),
            r"y\[0\] is 1, y\[20\] is 'a'. Expected labels of one",
        ),
        (labelled([Decimal(1), Decimal(2), Decimal(3)], list), "y.0. is Decimal"),
        (labelled([["a"], ["b", "c"], []], list), r"y\[0\] is \['a'\]"),
        (labelled([b"a", b"b", b"c"], list), "Convert the labels to a string"),
        (
            labelled([0.5, 1.5, 2], list),
            r"continuous. y\[0\] is 0.5; .* numpy.digitize",
        ),
        (labelled([0, 1, np.inf], list), "infinity"),
        (np.eye(3)[CODES], r"y should be a 1d array, got an array of shape \(30, 3\)"),
    ],
)
def test_what_is_not_a_label(y, message):
    for classifier, samples in classifiers():
        with pytest.raises((TypeError, ValueError), match=message):
            classifier.fit(samples, y)


@pytest.mark.parametrize(
    "y",
    [
        ["a", None, "b", NAN],
        np.array(["a", None, "b", NAN], dtype=object),
        pd.Series(["a", None, "b", None], dtype="category"),
    ],
)
def test_missing_true_labels_and_groups(y):
    proba = np.full((4, 2), 0.5)
    with pytest.raises(ValueError, match=r"y .* no label \(positions 1, 3\)"):
        expected_calibration_error(y, proba, classes=["a", "b"])
    with pytest.raises(ValueError, match=r"groups .* no group \(positions 1, 3\)"):
        KFoldEnsembleClassifier(GaussianNB(), cv=2).fit(X[:4], CODES[:4], groups=y)


def test_unknown_labels_are_shown_with_their_type():
    message = r"know the labels \['0'\]; its classes are \[0, 1\]"
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(["0"], [[0.5, 0.5]], classes=[0, 1])


def test_other_arrays_of_numpy():
    classifier = KFoldEnsembleClassifier(GaussianNB(), cv=2)
    hidden = np.ma.masked_array(CODES, mask=CODES == 2)
    with pytest.raises(ValueError, match="10 of 30 samples have no label"):
        classifier.fit(X, hidden)
    if hasattr(np.dtypes, "StringDType"):
        y = np.array(["a", "b", "c"], dtype=np.dtypes.StringDType())[CODES]
        assert classifier.fit(X, y).classes_.tolist() == ["a", "b", "c"]
