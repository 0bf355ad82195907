"""
Is a probability of 0.9 right nine times of ten?
================================================

A classifier that says 0.9 should be right in nine cells of ten. Fitted closely to some
tens of images most say more than they can keep. The mean of several, each fitted to
other cells, says less where they differ, and comes nearer to the truth.
"""

# %%
# Members that are too sure
# -------------------------
#
# Five logistic regressions on the colours of 90 cells, hardly regularised (``C=100``),
# so that they fit their training cells without an error. :class:`ReliabilityDisplay
# <skwbc.inspection.ReliabilityDisplay>` sorts 600 new cells by the probability of their
# first choice, and compares it with how often that is right. On the diagonal a
# classifier keeps what it promises; below, it promises too much.

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
# number of cells in each bin. Averaging brings it down to about half. The accuracy
# hardly changes: it is the sureness that is put right, and the log loss shows it.

members = ensemble.predict_proba_members(X_test)
classes = ensemble.classes_
truth = np.searchsorted(classes, y_test)


def figures_of(proba):
    """Return accuracy, log loss and expected calibration error."""
    of_truth = proba[np.arange(len(truth)), truth]
    return (
        (proba.argmax(axis=1) == truth).mean(),
        -np.log(of_truth.clip(1e-15)).mean(),
        expected_calibration_error(y_test, proba, classes=classes, n_bins=5),
    )


alone = np.array([figures_of(proba) for proba in members])
together = np.array(figures_of(members.mean(axis=0)))
print("                   accuracy  log loss  calibration error")
for name, row in {"members, mean": alone.mean(axis=0), "ensemble": together}.items():
    print(f"{name:17} {row[0]:10.3f} {row[1]:9.3f} {row[2]:18.3f}")

# %%
# One member more at a time
# -------------------------
#
# The same figure for the mean of one, two, ... five members, over every choice of so
# many of them. Most is gained by the second; each further one does less.

from itertools import combinations

sizes = range(1, len(members) + 1)
errors = [
    [
        figures_of(members[list(chosen)].mean(axis=0))[2]
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
# A better regularised classifier needs less of this
# --------------------------------------------------
#
# With ``C=0.3``, as in the default recipe of :func:`~skwbc.make_cell_classifier`, the
# ensemble stays near the diagonal. Averaging makes any classifier less sure, one that
# was modest already, too: so look at the diagram of what is used, the ensemble. Where
# there are no cells to spare, the out-of-fold probabilities of the training cells show
# what the members are like, as on the right. With so few cells the line is jagged, and
# a bin of ten says little.

modest = KFoldEnsembleClassifier(ensemble.estimator, cv=5, random_state=0)
modest.set_params(estimator__logisticregression__C=0.3).fit(X, y)

figure, pair = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
ReliabilityDisplay.from_estimator(
    modest, X_test, y_test, ax=pair[0], n_bins=5, name="ensemble, C=0.3"
)
ReliabilityDisplay.from_predictions(
    y,
    modest.oof_proba_,
    classes=modest.classes_,
    ax=pair[1],
    n_bins=5,
    name="out of fold, 90 training cells",
)
