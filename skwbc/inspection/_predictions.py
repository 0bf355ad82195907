"""Predictions of an ensemble as plain data that can be printed or stored.

scikit-learn is not imported here, because a model in ONNX predicts without it.
"""

from collections.abc import Sequence
from typing import Any

from skwbc.ensemble._averaging import average_ensemble, count_agreeing
from skwbc.ensemble._conformal import prediction_sets


def describe_predictions(
    estimator: Any, X: Any, names: Sequence[str], *, coverage: float | None = None
) -> list[dict[str, Any]]:
    """Predict with a fold ensemble and count how many members agree.

    Parameters
    ----------
    estimator : KFoldEnsembleClassifier or OnnxClassifier
        A fitted ensemble.
    X : array-like of shape (n_samples, ...)
        Samples.
    names : sequence of str
        One name per sample.
    coverage : float, default=None
        Coverage of the prediction sets, as in
        :meth:`KFoldEnsembleClassifier.predict_set`. By default no sets are predicted.

    Returns
    -------
    list of dict
        One row per sample: "image" (its name), "predicted" (the label as str),
        "probabilities" (a dict from label to float, the mean over the members),
        "agreement" (int, the number of members whose first choice is "predicted")
        and, with `coverage`, "set" (a list of labels, the most probable first).

    Raises
    ------
    ValueError
        If the numbers of names and samples differ, `coverage` is not between 0 and 1,
        the ensemble has no held-out probabilities, or no member has probabilities for
        some sample.
    """
    members = estimator.predict_proba_members(X)
    if len(names) != members.shape[1]:
        raise ValueError(
            f"Got {len(names)} names for {members.shape[1]} samples; expected one per "
            "sample."
        )
    proba = average_ensemble(estimator, members)
    labels = [str(label) for label in estimator.classes_]
    rows = [
        {
            "image": str(name),
            "predicted": labels[row.argmax()],
            "probabilities": dict(zip(labels, row.tolist(), strict=True)),
            "agreement": int(agreement),
        }
        for name, row, agreement in zip(
            names, proba, count_agreeing(members, proba), strict=True
        )
    ]
    if coverage is not None:
        sets = prediction_sets(estimator, [members], coverage)
        for row, order, inside in zip(
            rows, (-proba).argsort(axis=1), sets, strict=True
        ):
            row["set"] = [labels[k] for k in order if inside[k]]
    return rows
