"""
Where a network looks
=====================

A network that is right may be right for the wrong reason. Grad-CAM shows which parts of
an image speak for the class that it names: in the first ensemble here the cell, and in
the second a mark in the corner that somebody made with a pen.
"""

# %%
# On the cell
# -----------
#
# Three small networks, which begin with weights from drawn cells and are trained for a
# few epochs. In :func:`~skwbc.inspection.plot_grad_cam` the warm parts are those that
# speak for the class named, most of all within the white line. The map is the mean over
# the members of the ensemble. It is coarse, a pixel for 16 x 16 of the image, and it is
# on the cell, whether the class is right or not.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import Pipeline

from skwbc import CNNClassifier, ImageAugmenter, KFoldEnsembleClassifier
from skwbc.datasets import make_blood_cells
from skwbc.inspection import grad_cam, plot_grad_cam

SIZE = (96, 96)
X, y = make_blood_cells(20, image_size=SIZE, random_state=0)
X_test, y_test = make_blood_cells(10, image_size=SIZE, random_state=1)

augmenter = ImageAugmenter(
    rescale=1 / 255, samplewise_center=True, horizontal_flip=True, vertical_flip=True
)
network = CNNClassifier(
    model__weights="blood_cells",
    optimizer="adamw",
    optimizer__learning_rate=2e-3,
    learning_rate_schedule="cosine",
    epochs=10,
    batch_size=16,
    patience=None,
    restore_best_weights=False,
)
clf = KFoldEnsembleClassifier(
    Pipeline([("augmenter", augmenter), ("network", network)]), cv=3, random_state=0
).fit(X, y)
print(f"accuracy on {len(y_test)} new cells: {clf.score(X_test, y_test):.2f}")

shown = np.concatenate([np.flatnonzero(y_test == name)[:2] for name in clf.classes_])
plot_grad_cam(clf, X_test[shown], y_true=y_test[shown], columns=3)

# %%
# On the mark
# -----------
#
# Sixty neutrophils, half of them of patients who are ill, which does not show in the
# cells. But whoever photographed them marked the slides of the ill with a pen, and a
# blue square is in the corner of each of those images. The score on the held-out folds,
# in which the marks are, too, is next to perfect.


def mark(images):
    """Draw a blue mark into the top left corner of copies of images."""
    marked = images.copy()
    marked[:, 6:20, 6:20] = (20, 40, 200)
    return marked


def draw_neutrophils(n, seed):
    """Draw neutrophils, without their labels."""
    return make_blood_cells(
        n, classes=["neutrophil"], image_size=SIZE, random_state=seed
    )[0]


cells = draw_neutrophils(60, seed=2)
health = np.array(["healthy", "ill"] * 30)
cells[health == "ill"] = mark(cells[health == "ill"])
misled = KFoldEnsembleClassifier(clf.estimator, cv=3, random_state=0).fit(cells, health)
print(f"out-of-fold accuracy: {misled.oof_score_:.2f}")

# %%
# Grad-CAM on new cells shows what has been learnt.

new = draw_neutrophils(20, seed=3)
plot_grad_cam(misled, mark(new[:6]), target="ill", columns=3)

# %%
# Take the mark away
# ------------------
#
# The test of what the pictures suggest: the same twenty cells without the mark and with
# it. The maps of all of them, averaged, show no cell.

for name, images in {"without": new, "with": mark(new)}.items():
    print(
        f"taken for ill {name} the mark: {(misled.predict(images) == 'ill').mean():.0%}"
    )

pair_of_maps = {
    "neutrophil (first ensemble)": grad_cam(clf, new, target="neutrophil"),
    "ill (second ensemble)": grad_cam(misled, mark(new), target="ill"),
}
figure, pair = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for axes, (name, maps) in zip(pair, pair_of_maps.items(), strict=True):
    picture = axes.imshow(maps.mean(axis=0), cmap="inferno", vmin=0, vmax=1)
    axes.set(title=name, xticks=[], yticks=[])
figure.colorbar(picture, ax=pair, label="speaks for the class, mean of 20 cells")

# %%
# Such marks are seldom so plain. A scale bar, a border, a slide that is stained more
# strongly do the same, and no score says so as long as the images to test have them,
# too. A map says where a network looks. Whether it is right to look there is for a
# person to say.
