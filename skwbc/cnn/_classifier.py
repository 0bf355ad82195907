"""A Keras network as a scikit-learn classifier of images."""

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, Self

import keras
import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skwbc._utils.fitting import store_fitted
from skwbc._utils.labels import as_labels, classes_of
from skwbc._utils.lazy_arrays import PREDICTION_BATCH
from skwbc._utils.probabilities import most_probable
from skwbc._utils.progress import task
from skwbc._utils.random import draw_seed
from skwbc._utils.sklearn_compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    callback_context,
    fit_context,
)
from skwbc._utils.versions import Stamped
from skwbc.augmentation._images import check_images
from skwbc.cnn._architectures import build_compact_cnn
from skwbc.cnn._batches import Batches
from skwbc.cnn._checks import check_validation_set, weigh
from skwbc.cnn._compiled.prediction import predict_in_batches
from skwbc.cnn._copies import bare_copy, check_copy, pack, put_weights, unpack
from skwbc.cnn._keras_compat import seeded_build, seeded_training
from skwbc.cnn._losses import encoder_for
from skwbc.cnn._metrics import name_metrics
from skwbc.cnn._networks import as_proba, check_network, find_builder, with_maps
from skwbc.cnn._processes import check_process
from skwbc.cnn._scikeras_compat import RoutedClassifier
from skwbc.cnn._settings import check_compiled, check_keras_settings
from skwbc.cnn._training import train, trainer_for
from skwbc.cnn._views import KINDS, views_of


class CNNClassifier(Stamped, CallbackSupportMixin, RoutedClassifier):
    """Convolutional network for images, with early stopping on a validation set.

    It is trained on an array of images, or batch by batch on the
    :class:`~skwbc.AugmentedImages` from an :class:`~skwbc.ImageAugmenter` before it in
    a pipeline. Given a validation set, training stops when `monitor` no longer
    improves, and the weights of the best epoch are kept.
    :class:`~skwbc.KFoldEnsembleClassifier` passes each of its members the held-out fold
    for that.

    Parameters
    ----------
    model : callable or str, default=build_compact_cnn
        Builds the network: a function that returns a new Keras model, compiled or not.
        It may take an argument `meta`, a dict with ``image_shape_``, ``n_classes_``
        and ``classes_``; its other arguments are set as ``model__name=value``. A str is
        the import path of such a function, "package.module:function", which only
        ``fit`` imports: a fitted classifier can be loaded and predict without it.
        Custom layers and functions in the network have to be registered with
        ``keras.saving.register_keras_serializable``.
    optimizer : str, class or instance, default="rmsprop"
        A Keras optimizer. With a name or class, its arguments are set as
        ``optimizer__name=value``. Ignored if `model` returns a compiled network, as are
        `loss` and `metrics`.
    loss : str, class, instance or callable, default="categorical_crossentropy"
        A Keras loss for classification, on probabilities and not on logits. ``fit``
        calls it on a few made-up rows: a loss that works with one-hot rows is given
        those, and another one the positions of the classes in `classes_`.
    metrics : str, callable, list or None, default="accuracy"
        Keras metrics to record by epoch: names, classes, instances or functions. The
        names that Keras counts up, such as "auc_1", are counted anew in each network:
        "auc", and "auc_1" only for a second `keras.metrics.AUC`. Other names are kept.
        A metric has to return one value or a dict of values, and not one value per
        class.
    epochs : int, default=50
        Maximum number of passes over the training set.
    batch_size : int, default=32
        Images per training step.
    patience : int or None, default=10
        With a validation set, number of epochs without a better `monitor` after which
        training stops. None trains for all `epochs`.
    restore_best_weights : bool, default=True
        With a validation set, whether to keep the weights of the epoch with the best
        `monitor`, or those of the last epoch. The best epoch is chosen on few images.
        At the end of a "cosine" schedule the last epoch is the more stable choice, and
        scores on the validation set are then not optimistic.
    monitor : str, default="val_loss"
        The recorded metric that decides which epoch is best.
    learning_rate_schedule : {"constant", "cosine"}, default="constant"
        With "cosine", the optimizer's learning rate rises linearly from zero over the
        first `warmup_fraction` of the steps and falls to zero along half a cosine [1]_.
    warmup_fraction : float, default=0.1
        Fraction of the steps in which the learning rate rises, 0 to 1. Ignored with
        "constant".
    test_time_augmentation : {"rotations", "dihedral"} or None, default=None
        With "rotations", probabilities are the mean over rotations of an image by
        multiples of 90 degrees, with "dihedral" also over its mirror images: four or
        eight views of a square image, half as many of another [2]_. Prediction takes as
        many times as long. For images without a natural orientation.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn. They multiply
        `sample_weight`.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, dropout and the order of the images. No global
        state of Python, NumPy, Keras or TensorFlow is read or changed, so a `model`
        that draws random numbers from one of those has to seed it itself.
    verbose : int, default=0
        With 1 or more, print one line per epoch.
    **parameters : dict
        Routed parameters, such as ``optimizer__learning_rate=1e-3`` or
        ``model__dropout=0.2``.

    Attributes
    ----------
    model_ : keras.Model
        The network. Its outputs are in the order of `classes_`.
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_classes_ : int
        Number of classes.
    image_shape_ : tuple of int
        (height, width, channels) of the images seen by ``fit``.
    history_ : dict of str to list of float
        Metrics by epoch: "loss" and "accuracy", with a validation set also "val_loss"
        and "val_accuracy". Without `patience` and `restore_best_weights` nothing
        depends on the validation set, and it is evaluated after about ten epochs only,
        evenly spaced, the first and the last among them. Its metrics are NaN for the
        other epochs.
    best_epoch_ : int
        The epoch, counted from 1, whose weights were kept; the last one if there was
        no validation set, or without `restore_best_weights`.

    See Also
    --------
    build_article_cnn, build_compact_cnn : The networks of this package.
    KFoldEnsembleClassifier : Several of these, each with a validation set.

    Notes
    -----
    TensorFlow compiles once for all networks of a process that differ only in the
    values of their variables, so a fold ensemble or a search compiles once, and memory
    does not grow with the number of fits. A network with a custom layer, loss or other
    function is compiled for each fit, and TensorFlow keeps it until the process ends.

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

    __module__ = "skwbc"  # the address in pickles

    _parameter_constraints: dict = {
        "model": [callable, str],
        "metrics": [str, callable, list, tuple, dict, None],
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
    _takes_lazy_arrays = True

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
        self._check_names(parameters, TypeError)
        for name, value in parameters.items():
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
            Training images. Batches of them are converted to float32, without scaling.
        y : array-like of shape (n_samples,)
            Class labels: strings, integers or booleans, of at least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss. Samples of weight zero are left out.
        X_val : array-like of shape (n_val, height, width, channels), default=None
            Validation images, never augmented. They decide which epoch is kept.
        y_val : array-like of shape (n_val,), default=None
            Labels of the validation images. All of them have to occur in `y`.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights in the validation loss. Samples of weight zero are left out; if all
            are zero, there is no validation set.

        Returns
        -------
        CNNClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If images, labels, weights, parameters or the network are invalid or do not
            fit together, or a global setting of Keras would change what the network
            computes: floatx or the dtype policy is not float32, epsilon is not 1e-7, or
            the image data format is "channels_first" and a layer has taken it.
        RuntimeError
            If this process was forked after its parent had used a network.

        Warns
        -----
        ConvergenceWarning
            If training diverged.
        """
        check_process()
        if isinstance(self.model, keras.Model):
            raise TypeError(
                "model has to be a function that builds a network, got a network: each "
                "fit needs a new one. Pass a function that builds it."
            )
        check_keras_settings("floatx", "dtype_policy", "epsilon")
        owner = type(self).__name__
        X = check_images(X, owner)
        y, _ = as_labels(y)
        check_consistent_length(X, y)
        X, y, weights = weigh(X, y, sample_weight, self.class_weight)
        classes = classes_of(y)
        image_shape = tuple(X.shape[1:])
        validation = check_validation_set(
            X_val, y_val, sample_weight_val, owner, image_shape, classes
        )
        meta: dict[str, Any] = {"classes_": classes, "n_classes_": len(classes)}
        meta["image_shape_"] = image_shape
        seeds = np.random.SeedSequence(draw_seed(self.random_state)).generate_state(2)
        with seeded_build(int(seeds[0])):
            network = self._build(**meta)
            check_network(network, image_shape, len(classes))
            self._compile(network)
            check_compiled(network)
            name_metrics(network)
            encode = encoder_for(network, len(classes))
        # A new network without the optimizer's state, as after loading from a file.
        # Made before training, so that a network that cannot be stored fails early.
        copy = bare_copy(network)
        check_copy(
            copy, network, lambda: next(Batches(X, y, None, size=2).in_order()).images
        )
        codes = np.searchsorted(classes, y)
        targets = encode(codes)
        batches = Batches(X, targets, weights, size=self.batch_size, seed=int(seeds[1]))
        held_out = None
        if validation is not None:
            targets = encode(validation.codes)
            held_out = Batches(
                validation.images, targets, validation.weights, size=PREDICTION_BATCH
            )
        context = callback_context(self, self.epochs)
        with (
            task(self, context, X=X, y=y),
            trainer_for(network) as trainer,
            seeded_training(int(seeds[0])),
        ):
            history, best_epoch = train(trainer, batches, held_out, self, context)
        put_weights(copy, network.get_weights())
        meta |= {"history_": history, "best_epoch_": best_epoch}
        store_fitted(self, model_=copy, **meta)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of the size seen by ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
            Rows sum to one; columns are in the order of `classes_`. NaN if training
            diverged.

        Raises
        ------
        ValueError
            If `X` is not an array of such images, the network does not return
            probabilities, or the global epsilon of Keras is not 1e-7.
        RuntimeError
            As for :meth:`fit`.
        """
        check_is_fitted(self)
        return self._answer_together([self], X, only_space=False)[0][0]

    @staticmethod
    def _answer_together(
        classifiers: "Sequence[CNNClassifier]", X: Any, only_space: bool
    ) -> list[tuple[np.ndarray, list[np.ndarray]]]:
        """Return probabilities and maps of several classifiers (``_together``)."""
        check_process()
        if len({(c.image_shape_, c.test_time_augmentation) for c in classifiers}) > 1:
            return [
                CNNClassifier._answer_together([each], X, only_space)[0]
                for each in classifiers
            ]
        shape, kind = classifiers[0].image_shape_, classifiers[0].test_time_augmentation
        X = check_images(X, type(classifiers[0]).__name__, image_shape=shape)
        check_keras_settings("epsilon")
        networks = [classifier._network_with_maps() for classifier in classifiers]
        answers = []
        for outputs, classifier in zip(
            predict_in_batches(networks, X, views_of(kind, shape)),
            classifiers,
            strict=True,
        ):
            n_outputs = classifier.model_.output_shape[1]
            maps, proba = outputs[:, :-n_outputs], outputs[:, -n_outputs:]
            answers.append((as_proba(proba), [maps] if maps.shape[1] else []))
        return answers

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

        Raises
        ------
        ValueError
            As for :meth:`predict_proba`, or if probabilities are NaN.
        """
        proba = self.predict_proba(X)
        return most_probable(self.classes_, proba)

    def _network_with_maps(self) -> keras.Model:
        """Return the network as `with_maps` does, made once."""
        of_network, joined = self.__dict__.get("_joined", (None, None))
        if of_network is not self.model_:
            joined = with_maps(self.model_)
            self._joined = (self.model_, joined)
        return joined

    def _fingerprint_parts(self) -> list[Any]:
        """Return the function that `model` names by its import path."""
        return [find_builder(self.model)] if isinstance(self.model, str) else []

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_joined", None)
        if "model_" in state:
            state["model_"] = pack(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "model_" in state:
            state["model_"] = unpack(state["model_"])
        super().__setstate__(state)
