"""
Patients, slides, and what leaks without them
=============================================

Cells of one patient are stained in one go, so they resemble each other more than they
resemble anybody else's. Folds that part the cells at random put some of a patient's
cells into the training set and some into the test set. A classifier may then do well by
recognising the patient, and fail with the next one.
"""

# %%
# Patients that cannot be told apart
# ----------------------------------
#
# Sixteen patients with twelve neutrophils each. Every patient has a stain of their own,
# a little redder or bluer, a little lighter or darker. Half of them, drawn by lot, are
# called "ill". **The illness changes nothing about the cells**: there is nothing to be
# learnt, and an honest score is one half.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import ColourStatistics, KFoldEnsembleClassifier
from skwbc.datasets import make_blood_cells

N_PATIENTS, N_CELLS = 16, 12


def draw_patients(seed):
    """Draw the cells of patients, each with a stain of their own."""
    rng = np.random.default_rng(seed)
    cells, _ = make_blood_cells(
        N_PATIENTS * N_CELLS,
        classes=["neutrophil"],
        image_size=(48, 48),
        random_state=seed,
    )
    # Stain absorbs: light falls exponentially with the amount, by colour.
    amount = np.exp(rng.normal(0, 0.5, (N_PATIENTS, 1, 1, 3))).repeat(N_CELLS, axis=0)
    stained = 255 * (np.maximum(cells, 1) / 255) ** amount
    return stained.astype(np.uint8), np.repeat(np.arange(N_PATIENTS), N_CELLS)


# ``fit`` warns of members that do no better than guessing, as is expected here.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
X, patient = draw_patients(seed=0)

figure, grid = plt.subplots(4, 8, figsize=(8, 4.4), layout="constrained")
for row, axes_of_row in enumerate(grid):
    for axes, image in zip(axes_of_row, X[patient == row][:8], strict=True):
        axes.imshow(image)
        axes.set(xticks=[], yticks=[])
    axes_of_row[0].set_ylabel(f"patient {row + 1}")
figure.suptitle("A row is a patient: what differs is the stain")

# %%
# Where the folds cut
# -------------------
#
# Without `groups` every fold holds out a cell or two of nearly every patient. With
# ``fit(X, y, groups=patient)`` each patient is held out as a whole. No splitter has to
# be named for that, and no metadata routing switched on: an integer `cv` keeps groups
# together once they are given.

rng = np.random.default_rng(0)
ill = rng.permutation(np.arange(N_PATIENTS) % 2).astype(bool)
y = np.where(ill, "ill", "healthy")[patient]

classifier = make_pipeline(
    ColourStatistics(), StandardScaler(), KNeighborsClassifier(5)
)
without = KFoldEnsembleClassifier(classifier, cv=4, random_state=0).fit(X, y)
kept = KFoldEnsembleClassifier(classifier, cv=4, random_state=0)
kept.fit(X, y, groups=patient)

# sphinx_gallery_thumbnail_number = 2
colours = plt.get_cmap("tab10")
figure, pair = plt.subplots(1, 2, figsize=(8, 4.4), sharey=True, layout="constrained")
for axes, ensemble, title in zip(
    pair, (without, kept), ("without groups", "with groups=patient"), strict=True
):
    fold_of = np.empty(len(X), int)
    for fold, (_, held_out) in enumerate(ensemble.splits_):
        fold_of[held_out] = fold
    axes.imshow(colours(fold_of.reshape(N_PATIENTS, N_CELLS)), aspect="auto")
    axes.set(title=title, xlabel="cells of the patient", xticks=[])
    axes.set_yticks(range(N_PATIENTS), range(1, N_PATIENTS + 1))
pair[0].set_ylabel("patient")
figure.legend(
    handles=[Patch(color=colours(k), label=f"fold {k + 1}") for k in range(4)],
    loc="outside lower center",
    ncols=4,
    title="held out in",
)

# %%
# What it does to the score
# -------------------------
#
# Twenty times the illness is drawn by lot again. What the folds say of the ensemble is
# set beside what it does for sixteen new patients, half of whom are "ill" in the same
# sense: by lot.

statistics = ColourStatistics()
figures = statistics.fit_transform(X)
X_new, new_patient = draw_patients(seed=1)
new_figures = statistics.transform(X_new)
neighbours = make_pipeline(StandardScaler(), KNeighborsClassifier(5))

scores = {"out of fold,\nwithout groups": [], "out of fold,\nwith groups": []}
on_new = []
for seed in range(20):
    rng = np.random.default_rng(seed)
    ill, new_ill = (rng.permutation(np.arange(N_PATIENTS) % 2) for _ in range(2))
    for name, groups in zip(scores, (None, patient), strict=True):
        ensemble = KFoldEnsembleClassifier(neighbours, cv=4, random_state=seed)
        ensemble.fit(figures, ill[patient], groups=groups)
        scores[name].append(ensemble.oof_score_)
    on_new.append(ensemble.score(new_figures, new_ill[new_patient]))
scores["new patients"] = on_new

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for place, values in enumerate(scores.values()):
    sideways = place + np.linspace(-0.15, 0.15, len(values))
    colour = "#b2182b" if place == 0 else "#1b7837"
    axes.plot(sideways, values, "o", color=colour, alpha=0.6)
    axes.plot(place, np.mean(values), "_", color="black", markersize=40)
axes.axhline(0.5, color="grey", linestyle="--", zorder=0)
axes.text(-0.45, 0.46, "nothing to learn", color="grey")
axes.set(ylim=(0, 1.02), xlim=(-0.5, 2.5), ylabel="accuracy")
axes.set_xticks(range(3), scores)
axes.set_title("Twenty draws of an illness that cannot be seen (bar: mean)")

for name, values in scores.items():
    print(f"{name.replace(chr(10), ' '):28} {np.mean(values):.2f}")

# %%
# Without groups the classifier seems excellent at something that is impossible. With
# groups it is what it is with new patients: useless, and one knows. The more patients,
# the less the single draws scatter; cells of the same patient do not help there.
#
# Stratifying by hand does not cure it either. ``StratifiedKFold`` balances the classes
# and knows nothing of patients:

by_hand = KFoldEnsembleClassifier(
    classifier, cv=StratifiedKFold(4, shuffle=True), random_state=0
).fit(X, y)
print(f"StratifiedKFold: {by_hand.oof_score_:.2f}")
