"""A Keras network as a scikit-learn classifier of images."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier
from sklearn.base import BaseEstimator
from sklearn.utils import ClassifierTags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from skwbc._utils.lazy_arrays import PREDICTION_BATCH
from skwbc._utils.random import draw_seed
from skwbc._utils.sklearn_compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    fit_context,
)
from skwbc._utils.versions import Stamped
from skwbc.augmentation._images import check_images
from skwbc.cnn._architectures import build_compact_cnn
from skwbc.cnn._batches import Batches
from skwbc.cnn._checks import ValidationSet, check_validation_set, weigh
from skwbc.cnn._compiled.prediction import predict_in_batches
from skwbc.cnn._compiled.reuse import trainer_for
from skwbc.cnn._copies import bare_copy, check_copy
from skwbc.cnn._networks import (
    check_loss,
    check_network,
    cosine_rates,
    encode,
    find_builder,
)
from skwbc.cnn._packing import PackedNetwork, pack, put_weights, unpack
from skwbc.cnn._seeding import seeded_build, seeded_training
from skwbc.cnn._training import train
from skwbc.cnn._views import KINDS, views_of

# How far beyond 0 and 1 a probability in half precision may be.
_ROUNDING = 1e-2
_ROUTES = ("model", "optimizer", "loss", "metrics", "compile")


class CNNClassifier(Stamped, CallbackSupportMixin, KerasClassifier):
    """Train a convolutional network on images, with early stopping where it can.

    It is trained on an array of images, or batch by batch on the
    :class:`~skwbc.AugmentedImages` that an :class:`~skwbc.ImageAugmenter` before it in
    a pipeline makes. Given a validation set, it stops when that no longer gets better
    and keeps the weights of the best epoch.
    :class:`~skwbc.KFoldEnsembleClassifier` gives each of its members their held-out
    fold for that.

    Parameters
    ----------
    model : callable or str, default=build_compact_cnn
        Builds the network: a function that returns a new Keras model, compiled or not.
        It may take an argument `meta`, a dict with ``image_shape_``, ``n_classes_``
        and ``classes_``; its other arguments are set as ``model__name=value``. A str is
        the import path of one, "package.module:function", which is imported by ``fit``
        only: what was fitted can then be loaded and predict where it is missing.
        Layers and functions of your own in the network have to be registered by
        ``keras.saving.register_keras_serializable``.
    optimizer : str, class or instance, default="rmsprop"
        A Keras optimizer. With a name or class, its arguments are set as
        ``optimizer__name=value``. Unused if `model` returns a compiled network; the
        same holds for `loss` and `metrics`.
    loss : str, class, instance or callable, default="categorical_crossentropy"
        A Keras loss for classification, on probabilities and not on logits.
    metrics : str, list or None, default="accuracy"
        Keras metrics to record by epoch.
    epochs : int, default=50
        Passes over the training set, at the most.
    batch_size : int, default=32
        Images in one training step.
    patience : int or None, default=10
        With a validation set, epochs to wait for a better `monitor` before training
        stops. None trains for all `epochs`.
    restore_best_weights : bool, default=True
        With a validation set, whether to keep the weights of the epoch with the best
        `monitor`, or those of the last one. The best epoch is chosen on few images; at
        the end of a "cosine" the last one is the calmer choice, and scores on the
        validation set are then not optimistic.
    monitor : str, default="val_loss"
        The recorded metric that decides which epoch is best.
    learning_rate_schedule : {"constant", "cosine"}, default="constant"
        With "cosine", the optimizer's learning rate rises linearly from zero over the
        first `warmup_fraction` of the steps and falls to zero along half a cosine [1]_.
    warmup_fraction : float, default=0.1
        Part of all steps that the rise takes, 0 to 1. Unused with "constant".
    test_time_augmentation : {"rotations", "dihedral"} or None, default=None
        With "rotations", probabilities are the mean over an image turned by multiples
        of 90 degrees, with "dihedral" also flipped: four or eight views of a square
        image, half as many of another [2]_. For images without a natural up. It takes
        as many times as long to predict.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as everywhere in scikit-learn. They
        multiply `sample_weight`.
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, dropout and the order of the images. No global
        state of Python, NumPy, Keras or TensorFlow is touched, so a `model` that draws
        from one of those by itself has to be seeded by itself.
    verbose : int, default=0
        With 1 or more, print a line for each epoch.
    **parameters : dict
        Routed parameters, such as ``optimizer__learning_rate=1e-3`` or
        ``model__dropout=0.2``.

    Attributes
    ----------
    model_ : keras.Model
        The bare network. Its outputs are in the order of `classes_`.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_classes_ : int
        How many they are.
    image_shape_ : tuple of int
        (height, width, channels) of the images seen by ``fit``.
    history_ : dict of str to list of float
        Metrics by epoch: "loss" and "accuracy", with a validation set also "val_loss"
        and "val_accuracy".
    best_epoch_ : int
        The epoch, counted from 1, whose weights were kept; the last one if there was
        no validation set, or without `restore_best_weights`.

    See Also
    --------
    build_article_cnn, build_compact_cnn : The networks that come along.
    KFoldEnsembleClassifier : Several of these, each with a validation set.

    Notes
    -----
    What TensorFlow compiled for a network serves all later ones in the process that
    differ from it in nothing but the values of their variables, so that a fold ensemble
    or a search compiles once, and memory does not grow with the number of fits. A
    network with a layer, loss or other function that is not Keras' own is compiled for
    each fit, and TensorFlow keeps it until the process ends.

    References
    ----------
    .. [1] I. Loshchilov, F. Hutter. "SGDR: Stochastic gradient descent with warm
       restarts." ICLR 2017.
    .. [2] A. Krizhevsky, I. Sutskever, G. E. Hinton. "ImageNet classification with deep
       convolutional neural networks." Advances in Neural Information Processing
       Systems 25, 2012. (There: crops and reflections.)

    Examples
    --------
    >>> from skwbc import CNNClassifier
    >>> from skwbc.datasets import make_blood_cells
    >>> X, y = make_blood_cells(4, image_size=(24, 24), random_state=0)
    >>> cnn = CNNClassifier(epochs=2, model__filters=(4, 8), random_state=0)
    >>> cnn.fit(X / 255, y).predict_proba(X[:2] / 255).shape
    (2, 3)
    """

    __module__ = "skwbc"  # where pickles look for it

    _parameter_constraints: dict = {
        "model": [callable, str],
        "metrics": [str, list, tuple, None],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "monitor": [str],
        "learning_rate_schedule": [StrOptions({"constant", "cosine"})],
        "warmup_fraction": [Interval(Real, 0, 1, closed="both")],
        "restore_best_weights": ["boolean"],
        "test_time_augmentation": [StrOptions(set(KINDS)), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    # Read by scikeras; no parameters here.
    build_fn = None
    _random_state = None
    _takes_lazy_arrays = True
    _routing_prefixes = set(_ROUTES)

    def __init__(
        self,
        model: Callable[..., keras.Model] | str = build_compact_cnn,
        *,
        optimizer="rmsprop",
        loss="categorical_crossentropy",
        metrics="accuracy",
        epochs=50,
        batch_size=32,
        patience=10,
        monitor="val_loss",
        restore_best_weights=True,
        learning_rate_schedule="constant",
        warmup_fraction=0.1,
        test_time_augmentation=None,
        class_weight=None,
        random_state=None,
        verbose=0,
        **parameters,
    ):
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = metrics
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.monitor = monitor
        self.restore_best_weights = restore_best_weights
        self.learning_rate_schedule = learning_rate_schedule
        self.warmup_fraction = warmup_fraction
        self.test_time_augmentation = test_time_augmentation
        self.class_weight = class_weight
        self.random_state = random_state
        self.verbose = verbose
        for name, value in parameters.items():
            if not _is_routed(name):
                raise TypeError(self._unknown(name))
            setattr(self, name, value)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Build a network and train it.

        Parameters
        ----------
        X : AugmentedImages or array-like of shape (n_samples, height, width, channels)
            Training images. They become float32 a batch at a time, their scale is left
            as it is.
        y : array-like of shape (n_samples,)
            Class labels: strings, integers or booleans, at least two different ones.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss. Samples of weight zero are left out.
        X_val : array-like of shape (n_val, height, width, channels), default=None
            Validation images, never augmented. They choose the epoch that is kept.
        y_val : array-like of shape (n_val,), default=None
            Their labels, each of them a label in `y`.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights in the validation loss. Those of weight zero are left out; if
            that is all, it is as without a validation set.

        Returns
        -------
        CNNClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If images, labels, weights, parameters or the network do not fit together.

        Warns
        -----
        ConvergenceWarning
            If training diverged.
        """
        if isinstance(self.model, keras.Model):
            raise TypeError(
                "model has to be a function that builds a network, got a network: each "
                "fit needs a fresh one. Pass a function that makes it inside."
            )
        owner = type(self).__name__
        X = check_images(X, owner)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        check_consistent_length(X, y)
        X, y, weights = weigh(X, y, sample_weight, self.class_weight)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{owner} got samples of the one class {classes.tolist()[0]!r}; it "
                "needs at least 2 classes."
            )
        image_shape = tuple(X.shape[1:])
        validation = check_validation_set(
            X_val, y_val, sample_weight_val, owner, image_shape, classes
        )
        with self._undone_on_failure():
            # Builders are told of them.
            self.classes_ = classes
            self.n_classes_ = len(classes)
            self.image_shape_ = image_shape
            self._build_and_train(X, codes, weights, validation)
        return self

    def _build_and_train(
        self,
        X: Any,
        codes: np.ndarray,
        weights: np.ndarray | None,
        validation: ValidationSet | None,
    ) -> None:
        seeds = np.random.SeedSequence(draw_seed(self.random_state)).generate_state(2)
        with seeded_build(int(seeds[0])):
            network = self._build_keras_model()
            check_network(network, self.image_shape_, self.n_classes_)
            self._compile(network)
            check_loss(network)
        # A fresh network without the optimizer's state, as after loading from a file.
        # Made now, so that one that cannot be kept is not trained first.
        kept = bare_copy(network)
        check_copy(
            kept, network, lambda: next(Batches(X, codes, None, size=2).in_order())[0]
        )
        batches = Batches(
            X,
            encode(codes, network, self.n_classes_),
            weights,
            size=self.batch_size,
            seed=int(seeds[1]),
        )
        rates = None
        if self.learning_rate_schedule == "cosine":
            steps = len(batches) * self.epochs
            rates = cosine_rates(network.optimizer, steps, self.warmup_fraction)
        held_out = None
        if validation is not None:
            held_out = Batches(
                validation.images,
                encode(validation.codes, network, self.n_classes_),
                validation.weights,
                size=PREDICTION_BATCH,
            )
        context = self._init_callback_context(max_subtasks=self.epochs)
        y = self.classes_[codes]
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with trainer_for(network) as trainer, seeded_training(int(seeds[0])):
            training = train(
                trainer,
                batches,
                held_out,
                epochs=self.epochs,
                patience=self.patience,
                monitor=self.monitor,
                restore_best_weights=self.restore_best_weights,
                verbose=self.verbose,
                rates=rates,
                around_epoch=partial(self._around_epoch, context),
            )
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        put_weights(kept, network.get_weights())
        self.model_ = kept
        self.history_ = training.history
        self.best_epoch_ = training.best_epoch

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of the size seen by ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Rows sum to one; columns are in the order of `classes_`.

        Raises
        ------
        ValueError
            If `X` is no array of such images, or the network gives no probabilities.
        """
        check_is_fitted(self)
        return self._predict_proba_together([self], X)[0]

    @staticmethod
    def _predict_proba_together(
        classifiers: "Sequence[CNNClassifier]", X: Any
    ) -> list[np.ndarray]:
        """Predict with several at once (see ``skwbc.ensemble._together``)."""
        if len({(c.image_shape_, c.test_time_augmentation) for c in classifiers}) > 1:
            return [classifier.predict_proba(X) for classifier in classifiers]
        shape, kind = classifiers[0].image_shape_, classifiers[0].test_time_augmentation
        X = check_images(X, type(classifiers[0]).__name__, image_shape=shape)
        networks = [classifier.model_ for classifier in classifiers]
        outputs = predict_in_batches(networks, X, views_of(kind, shape))
        return [_as_proba(of_network) for of_network in outputs]

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each image.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of the size seen by ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on labelled images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of the size seen by ``fit``.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        float
            Accuracy, 0 to 1.
        """
        return float(self.scorer(y, self.predict(X), sample_weight=sample_weight))

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this classifier.

        Parameters
        ----------
        **params : dict
            Constructor parameters and routed parameters (``optimizer__...``).

        Returns
        -------
        CNNClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        known = self.get_params(deep=False)
        for name in params:
            if name not in known and not _is_routed(name):
                raise ValueError(self._unknown(name))
        for name, value in params.items():
            setattr(self, name, value)
        return self

    __repr__ = BaseEstimator.__repr__

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # scikeras still declares these in the way scikit-learn gave up in 1.7.
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags(poor_score=True)
        tags.target_tags.required = True
        tags.input_tags.two_d_array = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = pack(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if isinstance(state.get("model_"), PackedNetwork):
            state["model_"] = unpack(state["model_"])
        super().__setstate__(state)

    @property
    def partial_fit(self):
        """Not offered: the optimizer's state is not kept between fits."""
        raise AttributeError("CNNClassifier has no partial_fit; call fit.")

    @property
    def initialize(self):
        """Not offered: networks are built by ``fit``."""
        raise AttributeError("CNNClassifier has no initialize; call fit.")

    def _unknown(self, name: str) -> str:
        known = [key for key in vars(self) if not key.endswith("_")]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return (
            f"Invalid parameter {name!r} for estimator {type(self).__name__}.{hint} "
            f"Parameters are {sorted(known)}, and routed ones that begin with "
            f"{', '.join(route + '__' for route in _ROUTES)}."
        )

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        """Leave what an earlier fit gave as it was if the block fails."""
        names = ("classes_", "n_classes_", "image_shape_")
        before = {name: getattr(self, name) for name in names if hasattr(self, name)}
        try:
            yield
        except BaseException:
            for name in names:
                if name in before:
                    setattr(self, name, before[name])
                elif hasattr(self, name):
                    delattr(self, name)
            raise

    @contextmanager
    def _around_epoch(self, context: Any) -> Iterator[None]:
        """Tell scikit-learn's callbacks, where there are any, of an epoch."""
        epoch = context.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=self)
        yield
        epoch.call_on_fit_task_end(estimator=self)

    def _check_model_param(self) -> Callable[..., keras.Model]:
        # scikeras asks for the function that builds the network.
        return find_builder(self.model)

    def _compile(self, network: keras.Model) -> None:
        if not network.compiled:
            arguments = self._get_compile_kwargs()
            optimizer = arguments["optimizer"]
            if optimizer is self.optimizer:
                # An instance given by the user: fit must not change it.
                optimizer = type(optimizer).from_config(optimizer.get_config())
            network.compile(**{**arguments, "optimizer": optimizer})


def _as_proba(outputs: np.ndarray) -> np.ndarray:
    if np.any((outputs < -_ROUNDING) | (outputs > 1 + _ROUNDING)):
        raise ValueError(
            "The network has to give probabilities, from 0 to 1, but it gave "
            f"{outputs.min():.3g} to {outputs.max():.3g}. Let it end in a softmax, or "
            "in a sigmoid if it has a single output, and fit again."
        )
    if outputs.shape[1] == 1:
        return np.hstack([1 - outputs, outputs])
    total = outputs.sum(axis=1, keepdims=True)
    # Sigmoids may all say no.
    none = total == 0
    return np.where(none, 1 / outputs.shape[1], outputs / np.where(none, 1, total))


def _is_routed(name: str) -> bool:
    route, separator, rest = name.partition("__")
    return bool(separator and rest) and route in _ROUTES
