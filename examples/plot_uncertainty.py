"""
Saying "I don't know"
=====================

An ensemble can be asked how sure it is, and leave the cells to a person of which it is
not. What does that cost in cells, and what does it gain in accuracy? Here are two ways
to measure doubt, the cells that are doubted most, and a third way that keeps a promise.
"""

# %%
# Which cells it doubts
# ---------------------
#
# An ensemble on the colours of 90 cells judges 450 new ones. These are the eight that
# it is least sure of. No class is much more probable than the next, many of the choices
# are wrong, and a title says how many of the five members make the choice.

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
ensemble = KFoldEnsembleClassifier(
    make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression()),
    cv=5,
    random_state=0,
).fit(X, y)

plot_least_certain(ensemble, X_test, y_true=y_test)

# %%
# Two kinds of doubt
# ------------------
#
# The entropy of the mean is high where the answer is open, for whatever reason. The
# mutual information is the part of it that comes from members contradicting each other:
# more training cells would lessen that part. The rest is doubt that they share, of
# cells that look like one class as much as like another. Mistakes gather on the right.

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
# How often each two members make different choices says whether one of them stands
# apart. Here they differ in about one cell of ten, and none is far from all others.
# Five equal members would be worth no more than one.

MemberDisagreementDisplay.from_estimator(ensemble, X_test).figure_

# %%
# What it gains to abstain
# ------------------------
#
# The cells are sorted by their entropy, and the surest part of them is answered. From
# right to left more cells are left to a person, and the answers that are given get
# better. If the doubt said nothing the line would be level.

order = entropy.argsort()
answered = np.arange(1, len(order) + 1) / len(order)
accuracy = right[order].cumsum() / np.arange(1, len(order) + 1)

# sphinx_gallery_thumbnail_number = 4
figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
axes.plot(answered[20:], accuracy[20:], color="#1b7837", label="the surest answered")
axes.axhline(right.mean(), linestyle="--", color="grey", label="any answered")
axes.set(
    xlabel="part of the cells that is answered",
    ylabel="accuracy on those",
    xlim=(0, 1),
    ylim=(None, 1.01),
)
axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
axes.legend(loc="lower left")

for part in (1.0, 0.8, 0.5):
    print(
        f"{part:4.0%} answered: accuracy {accuracy[round(part * len(order)) - 1]:.3f}"
    )

# %%
# A promise
# ---------
#
# Where to draw the line? :meth:`predict_set
# <skwbc.KFoldEnsembleClassifier.predict_set>` takes the promise and finds the line by
# itself, from what the members said of the cells held out from them: the classes that a
# cell may have, as many as it takes for the true one to be among them as often as
# asked. A set of one class is an answer.

coverages = np.array([0.7, 0.8, 0.9, 0.95])
truth = np.searchsorted(ensemble.classes_, y_test)
kept, sizes = [], []
for coverage in coverages:
    sets = ensemble.predict_set(X_test, coverage=coverage)
    kept.append(sets[np.arange(len(truth)), truth].mean())
    sizes.append(np.bincount(sets.sum(axis=1), minlength=4) / len(sets))
    print(f"asked {coverage:.2f}, true class in the set {kept[-1]:.2f}")

# %%
# On the left, a point on the dashed line is a promise just kept, and one above it more
# than was asked. The more is asked, the more often the answer is a doubt between two or
# three classes. If less is asked than the accuracy of the ensemble, some sets are
# empty: those of cells for which no class is as probable as the true one mostly was.

figure, (left, right_axes) = plt.subplots(
    1, 2, figsize=(10, 4.2), layout="constrained", width_ratios=[1, 1.5]
)
left.plot([0.65, 1], [0.65, 1], "--", color="grey")
left.plot(coverages, kept, "o-", color="#1b7837")
left.set(xlabel="coverage asked", ylabel="sets that hold the true class")
names = ["none", "one class", "two", "all three"]
shades = ["#b2182b", "#1b7837", "#a6dba0", "#d9d9d9"]
bottom = np.zeros(len(coverages))
for name, shade, part in zip(names, shades, np.transpose(sizes), strict=True):
    right_axes.bar(
        [f"{coverage:.2f}" for coverage in coverages],
        part,
        bottom=bottom,
        color=shade,
        label=name,
    )
    bottom += part
right_axes.set(xlabel="coverage asked", ylabel="part of the cells")
right_axes.legend(
    title="classes in the set", loc="center left", bbox_to_anchor=(1, 0.5)
)
