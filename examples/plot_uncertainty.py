"""
Abstaining from uncertain predictions
=====================================

An ensemble can estimate how uncertain it is, and leave uncertain cells to a
person. How many cells does that cost, and how much accuracy does it gain? This page
shows two measures of uncertainty, the most uncertain cells, and prediction sets with a
guaranteed coverage.
"""

# %%
# The most uncertain cells
# ------------------------
#
# An ensemble on the colours of 90 cells predicts 450 new ones. These are the eight most
# uncertain. No class is much more probable than the next, many of the predictions are
# wrong, and each title shows how many of the five members agree with the prediction.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier
from skwbc.datasets import make_blood_cells
from skwbc.inspection import MemberDisagreementDisplay, plot_least_certain
from skwbc.uncertainty import mutual_information, predictive_entropy

X, y = make_blood_cells(30, image_size=(48, 48), random_state=0)
X_test, y_test = make_blood_cells(150, image_size=(48, 48), random_state=1)
# With your own images, and load_image_folder from skwbc.datasets:
# cells, apart = load_image_folder("cells"), load_image_folder("apart")
# X, y, X_test, y_test = cells.images, cells.target, apart.images, apart.target
ensemble = KFoldEnsembleClassifier(
    make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression()),
    cv=5,
    random_state=0,
).fit(X, y)

plot_least_certain(ensemble, X_test, y_true=y_test)

# %%
# Two kinds of uncertainty
# ------------------------
#
# The entropy of the mean measures the total uncertainty. The mutual information is the
# share of it that comes from members contradicting each other: more training cells
# would reduce it. The rest is uncertainty that all members share, about cells that
# resemble two classes equally. Errors are more frequent on the right.

members = ensemble.predict_proba_members(X_test)
entropy = predictive_entropy(members)
information = mutual_information(members)
right = ensemble.predict(X_test) == y_test

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
axes.plot(entropy[right], information[right], "o", color="#1b7837", alpha=0.4)
axes.plot(entropy[~right], information[~right], "X", color="#b2182b", markersize=8)
axes.set(
    xlabel="entropy of the mean (nats)",
    ylabel="mutual information (nats)",
    title="450 cells",
)
axes.legend([f"right: {right.sum()}", f"wrong: {(~right).sum()}"], loc="upper left")

# %%
# The fraction of different predictions of each pair of members shows whether one of
# them is an outlier. Here they differ in about one of ten cells, and none differs from
# all others. Five identical members would not be better than one.

MemberDisagreementDisplay.from_estimator(ensemble, X_test).figure_

# %%
# The gain from abstaining
# ------------------------
#
# The cells are sorted by entropy, and only the most certain fraction is predicted. From
# right to left, more cells are left to a person, and the remaining predictions become
# more accurate. If the entropy were uninformative, the line would be level.

order = entropy.argsort()
fraction = np.arange(1, len(order) + 1) / len(order)
accuracy = right[order].cumsum() / np.arange(1, len(order) + 1)

# sphinx_gallery_thumbnail_number = 4
figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
axes.plot(fraction[20:], accuracy[20:], color="#1b7837", label="the most certain cells")
axes.axhline(right.mean(), linestyle="--", color="grey", label="random cells")
axes.set(
    xlabel="fraction of cells predicted",
    ylabel="accuracy on these cells",
    xlim=(0, 1),
    ylim=(None, 1.01),
)
axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
axes.legend(loc="lower left")

for share in (1.0, 0.8, 0.5):
    last = round(share * len(order)) - 1
    print(f"{share:4.0%} predicted: accuracy {accuracy[last]:.3f}")

# %%
# Guaranteed coverage
# -------------------
#
# Which threshold is right? :meth:`predict_set
# <skwbc.KFoldEnsembleClassifier.predict_set>` determines it from a requested coverage
# and the members' predictions for their held-out cells. It returns as many classes per
# cell as are needed to contain the true one with this frequency. A set of one class is
# a definite prediction.

coverages = np.array([0.7, 0.8, 0.9, 0.95])
truth = np.searchsorted(ensemble.classes_, y_test)
covered, sizes = [], []
for coverage in coverages:
    sets = ensemble.predict_set(X_test, coverage=coverage)
    covered.append(sets[np.arange(len(truth)), truth].mean())
    sizes.append(np.bincount(sets.sum(axis=1), minlength=4) / len(sets))
    print(f"requested coverage {coverage:.2f}, observed coverage {covered[-1]:.2f}")

# %%
# On the left, points on the dashed line have exactly the requested coverage, and points
# above it exceed it. The higher the coverage, the more sets contain two or
# three classes. If the requested coverage is below the accuracy of the ensemble, some
# sets are empty: those of cells for which no class is as probable as the true class
# usually is.

figure, (left, right_axes) = plt.subplots(
    1, 2, figsize=(10, 4.2), layout="constrained", width_ratios=[1, 1.5]
)
left.plot([0.65, 1], [0.65, 1], "--", color="grey")
left.plot(coverages, covered, "o-", color="#1b7837")
left.set(xlabel="requested coverage", ylabel="sets that contain the true class")
names = ["none", "one class", "two", "all three"]
shades = ["#b2182b", "#1b7837", "#a6dba0", "#d9d9d9"]
bottom = np.zeros(len(coverages))
for name, shade, share in zip(names, shades, np.transpose(sizes), strict=True):
    right_axes.bar(
        [f"{coverage:.2f}" for coverage in coverages],
        share,
        bottom=bottom,
        color=shade,
        label=name,
    )
    bottom += share
right_axes.set(xlabel="requested coverage", ylabel="fraction of cells")
right_axes.legend(
    title="classes in the set", loc="center left", bbox_to_anchor=(1, 0.5)
)
