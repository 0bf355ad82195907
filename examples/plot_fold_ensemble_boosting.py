"""
A fold ensemble around gradient boosting
========================================

:class:`~skwbc.KFoldEnsembleClassifier` is not limited to images. With scikit-learn's
``HistGradientBoostingClassifier`` it replaces code that is often written by hand:
each fold's model stops early on its held-out fold, and the predictions are
averaged.
"""

# %%
# Early stopping on the held-out folds
# ------------------------------------
#
# The data are 569 aspirates of breast masses, each described by 30 features of the
# nuclei of its cells. ``fit`` of the booster takes `X_val` and `y_val`, so the ensemble
# passes the held-out fold to it. On its own, the booster would have to set aside a
# tenth of its training samples.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from skwbc import KFoldEnsembleClassifier
from skwbc.inspection import TrainingCurvesDisplay

threadpool_limits(1, "openmp")  # more threads do not help with so few samples
X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=0.5, stratify=y, random_state=0
)

booster = HistGradientBoostingClassifier(
    early_stopping=True, max_iter=500, n_iter_no_change=15, random_state=0
)
ensemble = KFoldEnsembleClassifier(booster, cv=5, random_state=0).fit(X_train, y_train)

# %%
# Each booster stops when the loss of its held-out fold has not improved for fifteen
# trees, which it keeps; the training loss would continue to fall. The folds stop at
# different points: no single number of trees is right for all of them.

TrainingCurvesDisplay.from_estimator(ensemble).figure_

# %%
# The gain from averaging
# -----------------------
#
# The data are halved at random eight times, and a single booster and an ensemble are
# trained on the same half. Each line connects their losses on the other half. The
# single booster stops on a tenth of its samples, some 28, which are too few to be
# reliable; each member of the ensemble uses twice as many, and averaging reduces the
# effect of single errors.

single, averaged = [], []
for seed in range(8):
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=0.5, stratify=y, random_state=seed
    )
    booster.set_params(random_state=seed)
    fitted = booster.fit(X_train, y_train)
    single.append(log_loss(y_test, fitted.predict_proba(X_test)))
    ensemble = KFoldEnsembleClassifier(booster, cv=5, random_state=seed)
    ensemble.fit(X_train, y_train)
    averaged.append(log_loss(y_test, ensemble.predict_proba(X_test)))

better = int(np.sum(np.less(averaged, single)))
print(f"mean log loss, single booster: {np.mean(single):.3f}")
print(f"mean log loss, fold ensemble:  {np.mean(averaged):.3f}")
print(f"the ensemble is better in {better} of 8 splits")

# %%

figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
for pair in zip(single, averaged, strict=True):
    axes.plot([0, 1], pair, "o-", color="#1b7837" if pair[1] < pair[0] else "#b2182b")
axes.set(
    xlim=(-0.3, 1.3),
    ylabel="log loss on the other half (lower is better)",
    title="Trained on the same eight halves",
    ylim=(0, None),
)
axes.set_xticks([0, 1], ["one booster", "ensemble of five"])

# %%
# Every training sample was predicted by the member that was not trained on it, and
# `oof_score_` is the score of these predictions. It is slightly optimistic, because the
# held-out folds chose the number of trees; ``cross_val_score(ensemble, X, y)`` is
# honest.

print(f"out-of-fold accuracy {ensemble.oof_score_:.3f}")
print(f"test accuracy        {ensemble.score(X_test, y_test):.3f}")
