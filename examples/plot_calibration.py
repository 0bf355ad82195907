"""
Is a probability of 0.9 right nine times out of ten?
====================================================

A classifier that predicts a class with probability 0.9 should be right in nine of ten
cases. If they fit some tens of images closely, most classifiers are overconfident. The
mean of several classifiers, each fitted to other cells, is less confident where they
differ, and better calibrated.
"""

# %%
# Overconfident members
# ---------------------
#
# The members are five logistic regressions on the colours of 90 cells, with little
# regularisation (``C=100``), so that they fit their training cells without error.
# :class:`ReliabilityDisplay <skwbc.inspection.ReliabilityDisplay>` groups 600 new cells
# by the probability of the predicted class, and plots how often that class is right.
# Calibrated classifiers are on the diagonal, overconfident ones below it.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier
from skwbc.datasets import make_blood_cells
from skwbc.inspection import ReliabilityDisplay
from skwbc.uncertainty import expected_calibration_error

X, y = make_blood_cells(30, image_size=(48, 48), random_state=0)
X_test, y_test = make_blood_cells(200, image_size=(48, 48), random_state=1)
# With your own images, and load_image_folder from skwbc.datasets:
# cells, apart = load_image_folder("cells"), load_image_folder("apart")
# X, y, X_test, y_test = cells.images, cells.target, apart.images, apart.target
ensemble = KFoldEnsembleClassifier(
    make_pipeline(
        ColourStatistics(), StandardScaler(), LogisticRegression(C=100, max_iter=5000)
    ),
    cv=5,
    random_state=0,
).fit(X, y)

figure, pair = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
ReliabilityDisplay.from_estimator(
    ensemble.estimators_[0], X_test, y_test, ax=pair[0], n_bins=5, name="one member"
)
ReliabilityDisplay.from_estimator(
    ensemble, X_test, y_test, ax=pair[1], n_bins=5, name="ensemble of five"
)

# %%
# The expected calibration error is the mean distance between the two, weighted by the
# number of cells in each bin. Averaging reduces it to about half. The accuracy hardly
# changes: averaging corrects the confidence, as the log loss shows.

members = ensemble.predict_proba_members(X_test)
classes = ensemble.classes_
truth = np.searchsorted(classes, y_test)


def metrics_of(proba):
    """Return accuracy, log loss and expected calibration error."""
    of_truth = proba[np.arange(len(truth)), truth]
    return (
        (proba.argmax(axis=1) == truth).mean(),
        -np.log(of_truth.clip(1e-15)).mean(),
        expected_calibration_error(y_test, proba, classes=classes, n_bins=5),
    )


alone = np.array([metrics_of(proba) for proba in members])
together = np.array(metrics_of(members.mean(axis=0)))
print("                   accuracy  log loss  calibration error")
for name, row in {"members, mean": alone.mean(axis=0), "ensemble": together}.items():
    print(f"{name:17} {row[0]:10.3f} {row[1]:9.3f} {row[2]:18.3f}")

# %%
# One more member at a time
# -------------------------
#
# The same error for the mean of one, two, ... five members, for all possible
# choices. The second member gains most; each further one gains less.

from itertools import combinations

sizes = range(1, len(members) + 1)
errors = [
    [
        metrics_of(members[list(chosen)].mean(axis=0))[2]
        for chosen in combinations(range(len(members)), size)
    ]
    for size in sizes
]
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for size, values in zip(sizes, errors, strict=True):
    axes.plot([size] * len(values), values, "o", color="#1b7837", alpha=0.4)
axes.plot(sizes, [np.mean(values) for values in errors], color="black", label="mean")
axes.set(
    xlabel="members averaged",
    ylabel="expected calibration error",
    ylim=(0, None),
    xticks=sizes,
)
axes.legend()

# %%
# Stronger regularisation reduces the effect
# ------------------------------------------
#
# With ``C=0.3``, as in the default recipe of :func:`~skwbc.make_cell_classifier`, the
# ensemble stays near the diagonal. Averaging makes any classifier less confident, even
# one that was not overconfident, so check the calibration of the ensemble and not of
# its members. Without cells to spare, the out-of-fold probabilities of the training
# cells show the calibration of the members, as on the right. With so few cells the line
# is noisy, and a bin of ten cells means little.

regularised = KFoldEnsembleClassifier(ensemble.estimator, cv=5, random_state=0)
regularised.set_params(estimator__logisticregression__C=0.3).fit(X, y)

figure, pair = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
ReliabilityDisplay.from_estimator(
    regularised, X_test, y_test, ax=pair[0], n_bins=5, name="ensemble, C=0.3"
)
ReliabilityDisplay.from_predictions(
    y,
    regularised.oof_proba_,
    classes=regularised.classes_,
    ax=pair[1],
    n_bins=5,
    name="out of fold, 90 training cells",
)
