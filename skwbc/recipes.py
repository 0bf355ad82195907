"""Recipes: augmentation, network and fold ensemble put together for cell images."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skwbc._utils.sklearn_compat import Interval, StrOptions, validate_params
from skwbc.augmentation import ColourStatistics, ImageAugmenter
from skwbc.ensemble import (
    KFoldEnsembleClassifier,
    ShuffledKFold,
    SoftVotingClassifier,
)

RECIPES = ("compact", "article")


@validate_params(
    {
        "recipe": [StrOptions(set(RECIPES))],
        "cv": ["cv_object"],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [Integral, None],
        "n_restarts": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def make_cell_classifier(
    recipe: str = "compact",
    *,
    cv: Any = 5,
    epochs: int | None = None,
    n_jobs: int | None = None,
    n_restarts: int = 0,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> KFoldEnsembleClassifier:
    """Make an unfitted ensemble of convolutional networks for images of single cells.

    Parameters
    ----------
    recipe : {"compact", "article"}, default="compact"
        "compact" learns from some tens of images a class. Its members are votes of two.
        One, which counts twice, is a small batch-normalised network that begins with
        weights from drawn blood cells, is trained with AdamW along a cosine to its end
        on images that are turned, flipped, shifted and zoomed, and predicts an image
        from four sides. The other is a logistic regression on the colours of the
        cell. In both all classes weigh the same, however many images there are of
        each. The folds are stratified. "article" is the article's procedure to the
        letter: two convolutions and a wide dense layer, RMSprop, batches of 32, turning
        and flipping, unstratified folds, at most 50 epochs, stopping after 10 without a
        better loss on the held-out fold.
    cv : int, cross-validation generator or iterable, default=5
        The folds, a member for each. With the recipe "article" an int is a number of
        shuffled folds that are not stratified, as in the article. Folds of an int keep
        groups together where ``fit`` is given some.
    epochs : int, default=None
        Epochs at the most; by default what the recipe says (compact 60, article 50).
    n_jobs : int, default=None
        Members to fit at a time.
    n_restarts : int, default=0
        How often at the most to train a member again that failed to learn. The article
        has no such thing.
    random_state : int, RandomState instance or None, default=None
        Seeds folds, augmentation and networks.
    verbose : int, default=0
        With 1 or more, print a line for each member that was fitted.

    Returns
    -------
    KFoldEnsembleClassifier
        It takes images of shape (n_samples, height, width, channels) with values from 0
        to 255. The members of "article" are pipelines of ``augmenter``
        (:class:`ImageAugmenter`) and ``cnn`` (:class:`CNNClassifier`). Those of
        "compact" are :class:`SoftVotingClassifier` of such a pipeline, ``network``, and
        another one, ``colours``, of ``statistics`` (:class:`ColourStatistics`),
        ``scaler`` and ``linear``. So parameters are set and searched as
        ``estimator__cnn__epochs`` and ``estimator__network__cnn__epochs``, and
        ``set_params(estimator__colours="drop")`` leaves the colours out.

    Examples
    --------
    >>> from skwbc import make_cell_classifier
    >>> from skwbc.datasets import make_blood_cells
    >>> X, y = make_blood_cells(6, image_size=(32, 32), random_state=0)
    >>> clf = make_cell_classifier(cv=2, epochs=2, random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:3]).shape
    (3, 3)
    """
    # Only here, so that the recipes can be looked at without importing Keras.
    from skwbc.cnn import CNNClassifier, build_article_cnn, build_compact_cnn

    if recipe == "article":
        augmenter = ImageAugmenter(
            rescale=1 / 255,
            samplewise_center=True,
            rotation_range=180,
            horizontal_flip=True,
            fill_mode="nearest",
        )
        cnn = CNNClassifier(
            build_article_cnn,
            optimizer="rmsprop",
            epochs=epochs or 50,
            batch_size=32,
            patience=10,
        )
        member: Any = Pipeline([("augmenter", augmenter), ("cnn", cnn)])
        if isinstance(cv, Integral):
            cv = ShuffledKFold(int(cv))
    else:
        augmenter = ImageAugmenter(
            rescale=1 / 255,
            samplewise_center=True,
            rotation_range=180,
            width_shift_range=0.05,
            height_shift_range=0.05,
            zoom_range=0.1,
            horizontal_flip=True,
            fill_mode="reflect",
        )
        cnn = CNNClassifier(
            build_compact_cnn,
            model__weights="blood_cells",
            optimizer="adamw",
            optimizer__learning_rate=2e-3,
            optimizer__weight_decay=1e-3,
            learning_rate_schedule="cosine",
            epochs=epochs or 60,
            batch_size=16,
            patience=None,
            # Chosen by the few images of a fold, the best epoch is a matter of luck.
            restore_best_weights=False,
            test_time_augmentation="rotations",
            class_weight="balanced",
        )
        colours = Pipeline(
            [
                ("statistics", ColourStatistics()),
                ("scaler", StandardScaler()),
                (
                    "linear",
                    LogisticRegression(C=0.3, class_weight="balanced", max_iter=5000),
                ),
            ]
        )
        network = Pipeline([("augmenter", augmenter), ("cnn", cnn)])
        member = SoftVotingClassifier(
            [("network", network), ("colours", colours)], weights=[2, 1]
        )
    return KFoldEnsembleClassifier(
        member,
        cv=cv,
        n_jobs=n_jobs,
        n_restarts=n_restarts,
        random_state=random_state,
        verbose=verbose,
    )
