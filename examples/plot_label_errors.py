"""
Finding label errors
====================

People who label cells make mistakes. A fold ensemble can point at them, because every
cell is predicted by a member that was not trained on it. Here a tenth of the labels
of synthetic cells are changed on purpose, to count how many of them are found.
"""

# %%
# Planting wrong labels
# ---------------------
#
# Of 150 cells, 15 get the label of another class. The classifier is a
# logistic regression on the colours of each cell, which is fast. For an ensemble
# of networks, from :func:`~skwbc.make_cell_classifier`, the following code is the same.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier
from skwbc.datasets import make_blood_cells
from skwbc.inspection import find_label_issues, plot_label_issues

CLASSES = ["eosinophil", "monocyte", "lymphocyte"]
X, y_true = make_blood_cells(50, classes=CLASSES, image_size=(64, 64), random_state=0)
rng = np.random.default_rng(0)
planted = rng.choice(len(y_true), 15, replace=False)
y = y_true.copy()
for k in planted:
    y[k] = rng.choice([name for name in CLASSES if name != y_true[k]])

clf = KFoldEnsembleClassifier(
    make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression(C=0.1)),
    cv=5,
    random_state=0,
).fit(X, y)

# %%
# The worst ten
# -------------
#
# :func:`~skwbc.inspection.find_label_issues` ranks all cells, the least probable label
# first, and marks those that it considers wrong: they have a red title. A black
# title means that the label is improbable, but no other label is probable enough. The
# bars are the probabilities from the member that was not trained on the cell.

rows = find_label_issues(clf, X, y)
plot_label_issues(X, rows)

# %%
# Counting the planted labels
# ---------------------------
#
# Suppose that an expert goes through the list from the top. The line shows how many of
# the planted labels they have met after a number of cells; without a list, they would
# have to check all cells.

wrong = np.isin([row["index"] for row in rows], planted)
n_met = wrong.cumsum()
n_checked = np.arange(1, len(rows) + 1)
n_issues = sum(row["issue"] for row in rows)

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(n_checked, n_met, color="#1b7837", label="in the order of the list")
axes.plot(
    [0, len(rows)], [0, len(planted)], "--", color="grey", label="in any other order"
)
axes.axhline(len(planted), color="lightgrey", zorder=0)
axes.set(
    xlabel="cells checked",
    ylabel="wrong labels met",
    title=f"{len(planted)} wrong labels among {len(rows)} cells",
    xlim=(0, len(rows)),
    ylim=(0, len(planted) + 1),
)
axes.legend(loc="lower right")

issues = [row["index"] for row in rows if row["issue"]]
print(f"wrong labels among the first 15 of the list: {n_met[14]} of 15")
print(f"label issues: {len(issues)}, of these wrong: {np.isin(issues, planted).sum()}")

# %%
# Correcting labels and training again
# ------------------------------------
#
# An issue is a question to an expert, not an answer: some issues
# are rare cells with correct labels. Here the true labels play the
# expert, who checks the first 20 cells of the list.

y_checked = y.copy()
for row in rows[:20]:
    y_checked[row["index"]] = y_true[row["index"]]

X_test, y_test = make_blood_cells(
    100, classes=CLASSES, image_size=(64, 64), random_state=1
)
print(f"wrong labels left: {(y_checked != y_true).sum()}")
for name, labels in {"original": y, "checked": y_checked}.items():
    accuracy = clf.fit(X, labels).score(X_test, y_test)
    proba = clf.predict_proba(X_test)
    confidence = proba.max(axis=1).mean()
    print(f"labels {name:10} accuracy {accuracy:.3f}, mean confidence {confidence:.2f}")

# %%
# A linear classifier and a mean of five members tolerate some wrong labels, so the
# accuracy on new cells increases little, if at all. Wrong labels mainly reduce the
# confidence: with a tenth of them wrong, no class seems certain. Test sets are less
# tolerant: their wrong labels count as errors of a classifier that was right.
