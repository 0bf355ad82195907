"""Ready-made ensembles of augmentation and networks for cell images."""

from numbers import Integral
from typing import Any, get_args

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler

from skwbc._utils.discriminant import BalancedDiscriminant
from skwbc._utils.recipe_names import RecipeName
from skwbc._utils.sklearn_compat import Interval, StrOptions, validate_params
from skwbc.augmentation import ColourStatistics, ImageAugmenter
from skwbc.ensemble import (
    KFoldEnsembleClassifier,
    ShuffledKFold,
    SoftVotingClassifier,
)

RECIPES = get_args(RecipeName)


@validate_params(
    {
        "recipe": [StrOptions(set(RECIPES))],
        "cv": ["cv_object"],
        "colours": ["boolean"],
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
    colours: bool = True,
    n_jobs: int | None = None,
    n_restarts: int = 0,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> KFoldEnsembleClassifier:
    """Make an unfitted ensemble of classifiers for images of single cells.

    Parameters
    ----------
    recipe : {"compact", "features", "article"}, default="compact"
        "compact" needs only some tens of images per class. Each member is a vote of two
        classifiers. One, with twice the weight, is that of "features". The other is a
        small batch-normalised network that starts from weights pretrained on blood
        cells. It is trained for all epochs with AdamW and a cosine learning rate on
        rotated, flipped, shifted and zoomed images, and averages its predictions over
        four rotations. Both balance the classes. The folds are stratified.
        "features" trains no network and is ready in seconds: each member takes what
        two frozen networks with those weights see in the image
        (:class:`NetworkFeatures`), and the colours of the cell, and is the mean of a
        linear discriminant analysis and a logistic regression of both. "article"
        follows the article exactly: two convolutions and a wide dense layer, RMSprop,
        batches of 32, rotation and flipping, folds that are not stratified, and at most
        50 epochs, stopping after 10 without a better loss on the held-out fold.
    cv : int, cross-validation generator or iterable, default=5
        The folds, with one member each. With the recipe "article" an int is a number of
        shuffled folds that are not stratified, as in the article. Folds of an int keep
        groups together if groups are passed to ``fit``.
    epochs : int, default=None
        Maximum number of epochs; by default 20 for "compact" and 50 for "article".
        "features" has none.
    colours : bool, default=True
        Whether "compact" and "features" use the colours of the cell, beside what frozen
        networks see. Without them, images of other laboratories, with other stains and
        cameras, are recognised far more often, and those of the own laboratory a little
        less. The networks see colours, too.
    n_jobs : int, default=None
        Number of members to fit in parallel.
    n_restarts : int, default=0
        Maximum number of times to train a member again that failed to learn. The
        article does not do that.
    random_state : int, RandomState instance or None, default=None
        Seeds the folds, the augmentation and the networks.
    verbose : int, default=0
        With 1 or more, print one line per fitted member.

    Returns
    -------
    KFoldEnsembleClassifier
        An ensemble for images of shape (n_samples, height, width, channels), with any
        number of channels; "article" for values from 0 to 255, the others for any white
        level (``rescale="auto"``). The members of "article" are pipelines of
        ``augmenter`` (:class:`ImageAugmenter`) and ``cnn`` (:class:`CNNClassifier`).
        The members of "features" are pipelines of ``features``, a union of ``network``
        (:class:`NetworkFeatures`) and ``colours`` (:class:`ColourStatistics`), then
        ``scaler`` and ``linear``, a vote of ``discriminant`` and ``logistic``. The
        members of "compact" are :class:`SoftVotingClassifier` of ``described``, which
        is built like "features", and ``network``, which is built like "article". Images
        that are not RGB are described channel by channel. So the names of parameters
        are ``estimator__cnn__epochs``, ``estimator__network__cnn__epochs`` or
        ``estimator__described__features__colours``, and
        ``set_params(estimator__network="drop")`` leaves the trained network out.

    Raises
    ------
    ValueError
        If a parameter is invalid, `epochs` is given for "features", or
        ``colours=False`` for "article".

    Examples
    --------
    >>> from skwbc import make_cell_classifier
    >>> from skwbc.datasets import make_blood_cells
    >>> X, y = make_blood_cells(6, image_size=(32, 32), random_state=0)
    >>> clf = make_cell_classifier(cv=2, epochs=2, random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:3]).shape
    (3, 3)
    """
    # Imported here, because this module must be importable without Keras.
    from skwbc.cnn import CNNClassifier, build_article_cnn, build_compact_cnn

    if recipe == "features" and epochs is not None:
        raise ValueError(
            f"epochs={epochs}, but the recipe 'features' trains no network. Leave "
            "epochs out, or choose another recipe."
        )
    if recipe == "article" and not colours:
        raise ValueError(
            "colours=False, but the recipe 'article' has no colours to leave out. "
            "Omit the argument, or choose another recipe."
        )
    if recipe == "features":
        member: Any = _features(colours)
    elif recipe == "article":
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
        member = Pipeline([("augmenter", augmenter), ("cnn", cnn)])
        if isinstance(cv, Integral):
            cv = ShuffledKFold(int(cv))
    else:
        augmenter = ImageAugmenter(
            rescale="auto",
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
            epochs=epochs or 20,
            batch_size=16,
            patience=None,
            # With the few images of a fold, choosing the best epoch adds mostly noise.
            restore_best_weights=False,
            test_time_augmentation="rotations",
            class_weight="balanced",
        )
        network = Pipeline([("augmenter", augmenter), ("cnn", cnn)])
        # The trained network helps where images differ from blood cells.
        member = SoftVotingClassifier(
            [("described", _features(colours)), ("network", network)], weights=[2, 1]
        )
    return KFoldEnsembleClassifier(
        member,
        cv=cv,
        n_jobs=n_jobs,
        n_restarts=n_restarts,
        random_state=random_state,
        verbose=verbose,
    )


def _features(colours: bool) -> Pipeline:
    """Return linear classifiers of what frozen networks see, and perhaps of colours."""
    from skwbc.cnn import NetworkFeatures

    described = FeatureUnion(
        [
            ("network", NetworkFeatures()),
            ("colours", ColourStatistics() if colours else "drop"),
        ]
    )
    # The first is more accurate but too confident, so the second moderates it.
    linear = SoftVotingClassifier(
        [
            ("discriminant", BalancedDiscriminant()),
            (
                "logistic",
                LogisticRegression(C=0.1, class_weight="balanced", max_iter=5000),
            ),
        ]
    )
    return Pipeline(
        [("features", described), ("scaler", StandardScaler()), ("linear", linear)]
    )
