"""
Finding labels that are wrong
=============================

Whoever labels cells gets some of them wrong. A fold ensemble can point at them: every
cell has been judged by a member that was not trained on it. Here a tenth of the labels
of drawn cells are changed on purpose, so that it can be counted how many are found.
"""

# %%
# Wrong labels, planted
# ---------------------
#
# 150 cells, 15 of which get the label of another class. What is trained on them is a
# logistic regression on the colours of each cell, which takes no time. For an ensemble
# with networks, from :func:`~skwbc.make_cell_classifier`, all that follows is the same.

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
# first, and says which it takes for wrong: those have a red title. One with a black
# title has a label that is improbable, and no other that is probable enough. The bars
# are the probabilities from the member that had not seen the cell.

rows = find_label_issues(clf, X, y)
plot_label_issues(X, rows)

# %%
# How many are found
# ------------------
#
# One looks through the list from its top. The line says how many of the planted labels
# one has met after so many cells; without a list, one would have to look at them all.

wrong = np.isin([row["index"] for row in rows], planted)
found = wrong.cumsum()
looked_at = np.arange(1, len(rows) + 1)
n_issues = sum(row["issue"] for row in rows)

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(looked_at, found, color="#1b7837", label="in the order of the list")
axes.plot(
    [0, len(rows)], [0, len(planted)], "--", color="grey", label="in any other order"
)
axes.axhline(len(planted), color="lightgrey", zorder=0)
axes.set(
    xlabel="cells looked at",
    ylabel="wrong labels met",
    title=f"{len(planted)} wrong labels among {len(rows)} cells",
    xlim=(0, len(rows)),
    ylim=(0, len(planted) + 1),
)
axes.legend(loc="lower right")

issues = [row["index"] for row in rows if row["issue"]]
print(f"wrong labels among the first 15 of the list: {found[14]} of 15")
print(f"said to be wrong: {len(issues)}, rightly {np.isin(issues, planted).sum()}")

# %%
# Look again, and train again
# ---------------------------
#
# An issue is a question to somebody who knows cells, and not an answer: some of them
# are rare cells that are labelled rightly. Here the person is played by the true
# labels, and looks at the first 20 cells of the list. What is left then can be asked
# for once more.

y_looked_at = y.copy()
for row in rows[:20]:
    y_looked_at[row["index"]] = y_true[row["index"]]

X_test, y_test = make_blood_cells(
    100, classes=CLASSES, image_size=(64, 64), random_state=1
)
print(f"wrong labels left: {(y_looked_at != y_true).sum()}")
for name, labels in {"as given": y, "looked at": y_looked_at}.items():
    accuracy = clf.fit(X, labels).score(X_test, y_test)
    proba = clf.predict_proba(X_test)
    sure = proba.max(axis=1).mean()
    print(f"labels {name:10} accuracy {accuracy:.3f}, mean confidence {sure:.2f}")

# %%
# A linear classifier and a mean of five forgive some wrong labels, so that the accuracy
# on new cells rises by little if at all. What the wrong labels take away is confidence:
# a tenth of them told the ensemble that nothing is certain. Test sets forgive less:
# wrong labels among those count as errors of a classifier that was right.
