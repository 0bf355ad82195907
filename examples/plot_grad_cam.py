"""
Where a network looks
=====================

A network may be right for the wrong reason. Grad-CAM shows which regions of
an image are evidence for the predicted class: in the first ensemble of this page the
cell, and in the second a pen mark in the corner.
"""

# %%
# The cell
# --------
#
# Three small networks start from weights of synthetic cells and are trained for a
# few epochs. In the figures of :func:`~skwbc.inspection.plot_grad_cam`, warm colours
# are evidence for the named class, strongest inside the white line. The map is the mean
# over the members of the ensemble. It is coarse, one value per 16 x 16 pixels, and it
# marks the cell, whether the class is right or not.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import Pipeline

from skwbc import CNNClassifier, ImageAugmenter, KFoldEnsembleClassifier
from skwbc.datasets import make_blood_cells
from skwbc.inspection import grad_cam, plot_grad_cam

SIZE = (96, 96)
X, y = make_blood_cells(20, image_size=SIZE, random_state=0)
X_test, y_test = make_blood_cells(10, image_size=SIZE, random_state=1)
# With your own images, up to the drawn patients (load_image_folder of skwbc.datasets):
# cells, apart = load_image_folder("cells"), load_image_folder("apart")
# X, y, X_test, y_test = cells.images, cells.target, apart.images, apart.target

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
# The mark
# --------
#
# Half of these sixty neutrophils belong to patients who are ill, which is not visible
# in the cells. But the slides of these patients were marked with a pen, so a blue
# square is in the corner of each of their images. The score on the held-out folds,
# which contain the marks as well, is almost perfect.


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
# Grad-CAM on new cells shows what the ensemble has learnt.

new = draw_neutrophils(20, seed=3)
plot_grad_cam(misled, mark(new[:6]), target="ill", columns=3)

# %%
# Removing the mark
# -----------------
#
# To test this explanation, compare the same twenty cells without and with the mark.
# Their mean maps do not show a cell.

for name, images in {"without": new, "with": mark(new)}.items():
    print(f"predicted ill {name} mark: {(misled.predict(images) == 'ill').mean():.0%}")

pair_of_maps = {
    "neutrophil (first ensemble)": grad_cam(clf, new, target="neutrophil"),
    "ill (second ensemble)": grad_cam(misled, mark(new), target="ill"),
}
figure, pair = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for axes, (name, maps) in zip(pair, pair_of_maps.items(), strict=True):
    picture = axes.imshow(maps.mean(axis=0), cmap="inferno", vmin=0, vmax=1)
    axes.set(title=name, xticks=[], yticks=[])
figure.colorbar(picture, ax=pair, label="evidence for the class, mean of 20 cells")

# %%
# Real marks are seldom so obvious. A scale bar, a border or a more strongly stained
# slide have the same effect, and no score reveals it if the test images have them, too.
# A map shows where a network looks. A person has to judge whether that is the right
# place.
