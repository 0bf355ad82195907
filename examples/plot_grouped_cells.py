"""
Patients, slides, and data leakage
==================================

Cells of one patient are stained together, so they resemble each other more than
cells of other patients. Random folds put some cells of a patient
into the training set and some into the test set. A classifier may then score well by
recognising the patient, and fail for the next patient.
"""

# %%
# Patients that cannot be told apart
# ----------------------------------
#
# There are sixteen patients with twelve neutrophils each. Every patient has a different
# stain, slightly redder or bluer, lighter or darker. A random half of them is
# called "ill". **The illness does not change the cells**: there is nothing to
# learn, and an honest score is one half.

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
    """Draw the cells of patients, with a different stain for each patient."""
    rng = np.random.default_rng(seed)
    cells, _ = make_blood_cells(
        N_PATIENTS * N_CELLS,
        classes=["neutrophil"],
        image_size=(48, 48),
        random_state=seed,
    )
    # Stain absorbs light: intensity falls exponentially with its amount.
    amount = np.exp(rng.normal(0, 0.5, (N_PATIENTS, 1, 1, 3))).repeat(N_CELLS, axis=0)
    stained = 255 * (np.maximum(cells, 1) / 255) ** amount
    return stained.astype(np.uint8), np.repeat(np.arange(N_PATIENTS), N_CELLS)


# ``fit`` warns of members that do no better than guessing, as expected here.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
X, patient = draw_patients(seed=0)

figure, grid = plt.subplots(4, 8, figsize=(8, 4.4), layout="constrained")
for row, axes_of_row in enumerate(grid):
    for axes, image in zip(axes_of_row, X[patient == row][:8], strict=True):
        axes.imshow(image)
        axes.set(xticks=[], yticks=[])
    axes_of_row[0].set_ylabel(f"patient {row + 1}")
figure.suptitle("One row per patient: the stains differ")

# %%
# The folds
# ---------
#
# Without `groups`, every fold holds out one or two cells of nearly every patient. With
# ``fit(X, y, groups=patient)``, whole patients are held out. This needs neither a
# special splitter nor metadata routing: an integer `cv` keeps groups
# together if they are passed.

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
# The scores
# ----------
#
# The illness is drawn at random twenty times. The out-of-fold score of the ensemble is
# compared with its score for sixteen new patients, half of them "ill" in the same
# sense: at random.

statistics = ColourStatistics()
features = statistics.fit_transform(X)
X_new, new_patient = draw_patients(seed=1)
new_features = statistics.transform(X_new)
neighbours = make_pipeline(StandardScaler(), KNeighborsClassifier(5))

scores = {"out of fold,\nwithout groups": [], "out of fold,\nwith groups": []}
on_new = []
for seed in range(20):
    rng = np.random.default_rng(seed)
    ill, new_ill = (rng.permutation(np.arange(N_PATIENTS) % 2) for _ in range(2))
    for name, groups in zip(scores, (None, patient), strict=True):
        ensemble = KFoldEnsembleClassifier(neighbours, cv=4, random_state=seed)
        ensemble.fit(features, ill[patient], groups=groups)
        scores[name].append(ensemble.oof_score_)
    on_new.append(ensemble.score(new_features, new_ill[new_patient]))
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
axes.set_title("Twenty random, invisible illnesses (bar: mean)")

for name, values in scores.items():
    print(f"{name.replace(chr(10), ' '):28} {np.mean(values):.2f}")

# %%
# Without groups, the classifier seems excellent at an impossible task. With
# groups, its score is the same as for new patients: it is useless, and we know it. With
# more patients, the scores vary less; more cells of the same patients do not help.
#
# A stratified splitter does not help either. ``StratifiedKFold`` balances the classes
# and knows nothing about patients:

stratified = KFoldEnsembleClassifier(
    classifier, cv=StratifiedKFold(4, shuffle=True), random_state=0
).fit(X, y)
print(f"StratifiedKFold: {stratified.oof_score_:.2f}")
