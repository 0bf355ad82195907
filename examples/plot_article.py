"""
The article in twenty lines
===========================

A network is trained on some tens of images of white blood cells: once for each fold of
a cross-validation, on all cells but that fold's, while it watches the cells held out.
Cells that nobody has seen are then judged by the mean of the five networks'
probabilities.
"""

# %%
# The procedure
# -------------
#
# The whole of it is an augmenter and a network in a pipeline, and an ensemble around
# the pipeline. :class:`~skwbc.ImageAugmenter` turns and mirrors the cells anew for
# every batch. :class:`~skwbc.CNNClassifier` stops early on the fold that
# :class:`~skwbc.KFoldEnsembleClassifier` holds out from it, which is never turned.
#
# The article has images of 100 x 100 pixels and 50 epochs at the most. To keep this
# page quick the images are smaller here, and the epochs fewer.

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
# Twelve cells that had no part in the training. Below each is the mean probability of
# each class, and the title says whether the first choice is right. Were one taken for
# another, the bars would say how sure the ensemble was of it.

order = y_test.argsort()
plot_predictions(
    X_test[order], clf.predict_proba(X_test[order]), clf.classes_, y_true=y_test[order]
)

# %%
# Learning curves
# ---------------
#
# A line for each of the five networks. With 72 cells to learn from and 18 to be watched
# the curves of the held-out folds are jagged, and the folds differ: the weights that
# are kept are those of the marked epoch.

from skwbc.inspection import TrainingCurvesDisplay

TrainingCurvesDisplay.from_estimator(clf).figure_

# %%
# An honest score
# ---------------
#
# The held-out folds have chosen the epochs, so what the networks score on them is
# optimistic. Cells that nobody has seen say how good the ensemble is, and twelve are
# too few for that: draw some more.

X_more, y_more = make_blood_cells(60, image_size=(48, 48), random_state=2)
print("members on their held-out folds:", clf.fold_scores_.round(2))
print(f"ensemble on 180 new cells:       {clf.score(X_more, y_more):.2f}")

# %%
# Of real cells there are seldom 180 to spare. Then ``cross_val_score(clf, X, y)`` is
# the honest way: it fits the whole ensemble once for each fold of another
# cross-validation.
