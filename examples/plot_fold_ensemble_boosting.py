"""
A fold ensemble around gradient boosting
========================================

Nothing in :class:`~skwbc.KFoldEnsembleClassifier` is about images. Around
scikit-learn's ``HistGradientBoostingClassifier`` it does what is often written by hand:
each fold's model stops early on the fold that was held out from it, and predictions are
averaged.
"""

# %%
# Early stopping on the held-out folds
# ------------------------------------
#
# The data are 569 aspirates of breast masses, each described by 30 figures about the
# nuclei of its cells. ``fit`` of the booster takes `X_val` and `y_val`, so the ensemble
# hands it the held-out fold. Alone it would have to keep back a tenth of its training
# samples for that.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from skwbc import KFoldEnsembleClassifier
from skwbc.inspection import TrainingCurvesDisplay

threadpool_limits(1, "openmp")  # for so few samples more threads only wait for another
X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=0.5, stratify=y, random_state=0
)

booster = HistGradientBoostingClassifier(
    early_stopping=True, max_iter=500, n_iter_no_change=15, random_state=0
)
ensemble = KFoldEnsembleClassifier(booster, cv=5, random_state=0).fit(X_train, y_train)

# %%
# Each booster stops when fifteen more trees have not made the loss of its held-out fold
# better, and keeps those fifteen; the training loss would go on falling. Where the end
# is differs from fold to fold: no single number of trees is right for all.

TrainingCurvesDisplay.from_estimator(ensemble).figure_

# %%
# What the averaging is worth
# ---------------------------
#
# Eight times the data are halved at random, and a single booster and an ensemble are
# trained on the same half. A line joins the two on the other half. The single booster
# stops on a tenth of its samples, some 28, which say little; each of the five has twice
# as many, and where one is wrong the mean forgives it.

single, averaged = [], []
for seed in range(8):
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=0.5, stratify=y, random_state=seed
    )
    booster.set_params(random_state=seed)
    alone = booster.fit(X_train, y_train)
    single.append(log_loss(y_test, alone.predict_proba(X_test)))
    ensemble = KFoldEnsembleClassifier(booster, cv=5, random_state=seed)
    ensemble.fit(X_train, y_train)
    averaged.append(log_loss(y_test, ensemble.predict_proba(X_test)))

better = int(np.sum(np.less(averaged, single)))
print(f"mean log loss, single booster: {np.mean(single):.3f}")
print(f"mean log loss, fold ensemble:  {np.mean(averaged):.3f}")
print(f"the ensemble is better in {better} of 8 halvings")

# %%

figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
for pair in zip(single, averaged, strict=True):
    axes.plot([0, 1], pair, "o-", color="#1b7837" if pair[1] < pair[0] else "#b2182b")
axes.set(
    xlim=(-0.3, 1.3),
    ylabel="log loss on the other half (lower is better)",
    title="The same eight halves, trained on twice",
    ylim=(0, None),
)
axes.set_xticks([0, 1], ["one booster", "ensemble of five"])

# %%
# Every training sample has been judged by the member that had not learnt from it.
# `oof_score_` is that score. The held-out folds have chosen the number of trees,
# though, which makes it a little optimistic: ``cross_val_score(ensemble, X, y)`` is
# not.

print(f"out-of-fold accuracy {ensemble.oof_score_:.3f}")
print(f"accuracy on the rest {ensemble.score(X_test, y_test):.3f}")
