"""What an ensemble says of each sample, as plain data that can be printed or stored."""

from collections.abc import Sequence
from typing import Any

from skwbc.ensemble._averaging import average_members, first_choices
from skwbc.ensemble._conformal import prediction_sets


def describe_predictions(
    ensemble: Any, X: Any, names: Sequence[str], *, coverage: float | None = None
) -> list[dict[str, Any]]:
    """Predict with a fold ensemble, and say how far its members agree.

    Parameters
    ----------
    ensemble : KFoldEnsembleClassifier
        Fitted.
    X : array-like of shape (n_samples, ...)
        Samples.
    names : sequence of str
        What to call each sample.
    coverage : float, default=None
        Also say which labels each sample may have, as in
        :meth:`KFoldEnsembleClassifier.predict_set`.

    Returns
    -------
    list of dict
        For each sample "image" (its name), "predicted" (the label as str),
        "probabilities" (a dict from label to float, the mean over the members),
        "agreement" (int, the number of members whose own first choice is
        "predicted") and, with `coverage`, "set" (a list of labels, the most probable
        one first).

    Raises
    ------
    ValueError
        If there is not a name for each sample, `coverage` is no number between 0 and
        1, or the ensemble has no held-out probabilities.
    """
    members = ensemble.predict_proba_members(X)
    # Not by scikit-learn, which a model in ONNX does without.
    if len(names) != members.shape[1]:
        raise ValueError(
            f"Got {len(names)} names for {members.shape[1]} samples; expected one each."
        )
    proba = average_members(members)
    best = proba.argmax(axis=1)
    choices = first_choices(members)
    agreement = (choices == best).sum(axis=0)
    labels = [str(label) for label in ensemble.classes_]
    rows = [
        {
            "image": str(name),
            "predicted": labels[best[k]],
            "probabilities": dict(zip(labels, proba[k].tolist(), strict=True)),
            "agreement": int(agreement[k]),
        }
        for k, name in enumerate(names)
    ]
    if coverage is not None:
        sets = prediction_sets(ensemble, [members], coverage)
        for row, order, inside in zip(
            rows, (-proba).argsort(axis=1), sets, strict=True
        ):
            row["set"] = [labels[k] for k in order if inside[k]]
    return rows
