"""
The article in twenty lines
===========================

A network is trained on some tens of images of white blood cells: once per fold of
a cross-validation, on all cells but those of the fold, which it monitors for early
stopping. The mean probabilities of the five networks then classify new cells.
"""

# %%
# The procedure
# -------------
#
# The recipe is an augmenter and a network in a pipeline, and an ensemble around
# the pipeline. :class:`~skwbc.ImageAugmenter` rotates and flips the cells anew for
# every batch. :class:`~skwbc.CNNClassifier` stops early on its held-out fold, which
# :class:`~skwbc.KFoldEnsembleClassifier` passes to it without augmentation.
#
# The article uses images of 100 x 100 pixels and at most 50 epochs. To keep this
# page fast, the images are smaller here, and the epochs fewer.

from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline

from skwbc import (
    CNNClassifier,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    build_article_cnn,
)
from skwbc.datasets import make_blood_cells
from skwbc.inspection import plot_predictions

X, y = make_blood_cells(30, image_size=(48, 48), random_state=0)
X_test, y_test = make_blood_cells(4, image_size=(48, 48), random_state=1)
# With your own images, and load_image_folder from skwbc.datasets:
# cells, apart = load_image_folder("cells"), load_image_folder("apart")
# X, y, X_test, y_test = cells.images, cells.target, apart.images, apart.target

augmenter = ImageAugmenter(
    rescale=1 / 255,
    samplewise_center=True,
    rotation_range=180,
    horizontal_flip=True,
    fill_mode="nearest",
)
cnn = CNNClassifier(build_article_cnn, epochs=20, batch_size=32, patience=10)
clf = KFoldEnsembleClassifier(
    Pipeline([("augmenter", augmenter), ("cnn", cnn)]),
    cv=KFold(5, shuffle=True),
    random_state=0,
)
clf.fit(X, y)

# %%
# The article's figure
# --------------------
#
# These twelve cells were not used for training. Below each are the mean probabilities
# of all classes, and the title tells whether the most probable class is right. For a
# wrong prediction, the bars show how confident the ensemble was.

order = y_test.argsort()
plot_predictions(
    X_test[order], clf.predict_proba(X_test[order]), clf.classes_, y_true=y_test[order]
)

# %%
# Learning curves
# ---------------
#
# Each network has one line. With 72 training cells and 18 validation cells,
# the curves of the held-out folds are noisy, and the folds differ. The weights of the
# marked epochs are kept.

from skwbc.inspection import TrainingCurvesDisplay

TrainingCurvesDisplay.from_estimator(clf).figure_

# %%
# An honest score
# ---------------
#
# The held-out folds chose the epochs, so the networks' scores on them are
# optimistic. Only new cells show how accurate the ensemble is, and twelve are
# too few: draw more.

X_more, y_more = make_blood_cells(60, image_size=(48, 48), random_state=2)
print("members on their held-out folds:", clf.fold_scores_.round(2))
print(f"ensemble on 180 new cells:       {clf.score(X_more, y_more):.2f}")

# %%
# With real cells, there are seldom 180 to spare. Then ``cross_val_score(clf, X, y)`` is
# the honest method: it fits the whole ensemble once per fold of an outer
# cross-validation.
