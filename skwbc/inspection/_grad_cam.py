"""Class activation maps of the networks of a classifier (Grad-CAM)."""

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skwbc._utils.labels import encode_labels, true_names
from skwbc._utils.lazy_arrays import PREDICTION_BATCH, read_rows
from skwbc._utils.names import shown
from skwbc._utils.sklearn_compat import HasMethods, validated
from skwbc.augmentation._images import as_finite_float32, check_images
from skwbc.ensemble import KFoldEnsembleClassifier, SoftVotingClassifier
from skwbc.ensemble._parts import steps_of, transform_by, transformers_of
from skwbc.inspection._plots import POSITIVE, new_grid, show_image, title_of
from skwbc.inspection._samples import scale_pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Number of images that are standardised and explained together.
_AT_A_TIME = 4 * PREDICTION_BATCH
# Maps of at most so many pixels a side have no outline: it would look exact.
_COARSE = 4
_CONTAINERS = (KFoldEnsembleClassifier, SoftVotingClassifier, Pipeline)


_CLASSIFIER = [HasMethods(["predict", "predict_proba"])]


@validated(estimator=_CLASSIFIER)
def grad_cam(estimator: Any, X: Any, *, target: Any = None) -> np.ndarray:
    """Return class activation maps: where in each image networks recognise a class.

    Parameters
    ----------
    estimator : classifier
        A fitted :class:`~skwbc.KFoldEnsembleClassifier`, one of its members, a pipeline
        or a :class:`~skwbc.CNNClassifier`.
    X : array-like of shape (n_samples, height, width, channels)
        Images, as for the estimator's ``predict``.
    target : label or array-like of shape (n_samples,), default=None
        The class to explain, one for all images or one per image. By default the class
        that the estimator predicts.

    Returns
    -------
    ndarray of shape (n_samples, height, width), float32
        Maps from 0, where nothing supports the class, to 1, where the support in the
        image is strongest. A map is 0 everywhere if nothing supports the class.

    Raises
    ------
    ValueError
        If the estimator contains no Keras network, `target` has labels
        that are not classes of the estimator, or a network has no feature maps of more
        than one pixel.

    See Also
    --------
    plot_grad_cam : Plot the maps.

    Notes
    -----
    This is Grad-CAM [1]_: the feature maps of the last convolutions are weighted by the
    mean gradient of the class's score with respect to them and summed, negative values
    are set to 0, and the result is enlarged to the size of the image. The score is the
    input of the network's softmax for the class. The maps are coarse: those of the
    default network have one pixel for every 16 x 16 pixels of the image.

    The map of each network is scaled to a maximum of 1. The maps are then averaged over
    all networks that were trained on the class, and scaled again. In a
    :class:`~skwbc.SoftVotingClassifier`, only the networks contribute, with their
    weights; Grad-CAM cannot explain other estimators. If networks predict an image from
    several views, the map is the mean over these views, transformed back. Behind
    :class:`~skwbc.NetworkFeatures` and a ``StandardScaler`` a linear classifier counts
    as the last layer of the network.

    A map shows where a network looks, not whether it is right to look there.

    References
    ----------
    .. [1] R. R. Selvaraju, M. Cogswell, A. Das, R. Vedantam, D. Parikh, D. Batra.
       "Grad-CAM: visual explanations from deep networks via gradient-based
       localization." ICCV 2017.

    Examples
    --------
    >>> from skwbc import CNNClassifier
    >>> from skwbc.datasets import make_blood_cells
    >>> from skwbc.inspection import grad_cam
    >>> X, y = make_blood_cells(4, image_size=(24, 24), random_state=0)
    >>> cnn = CNNClassifier(epochs=2, model__filters=(4, 8), random_state=0)
    >>> maps = grad_cam(cnn.fit(X, y), X[:2], target="neutrophil")
    >>> maps.shape, maps.dtype
    ((2, 24, 24), dtype('float32'))
    """
    check_is_fitted(estimator)
    X = check_images(X, "grad_cam")
    targets = None if target is None else _check_target(target, estimator, len(X))
    maps = np.zeros(X.shape[:3], np.float32)
    for rows in gen_batches(len(X), _AT_A_TIME):
        images = read_rows(X, rows)
        labels = estimator.predict(images) if targets is None else targets[rows]
        network = None
        for network, inputs, weight in _networks_in(estimator, images, 1.0):
            # Only the networks that were trained on a class can explain it.
            chosen = np.isin(labels, network.classes_)
            if chosen.any():
                some = network, inputs[chosen], labels[chosen]
                maps[rows][chosen] += weight * _maps_of(*some, X.shape[1:3])
        if network is None:
            raise ValueError(
                f"grad_cam explains Keras networks, but this "
                f"{type(estimator).__name__} contains none. Expected a fitted "
                "CNNClassifier, or a pipeline, vote or fold ensemble with one; or a "
                "pipeline of NetworkFeatures with a Keras network, StandardScaler and "
                "linear classifiers. For an exported model, pass the model that it was "
                "exported from."
            )
    return _scale(maps)


@validated(estimator=_CLASSIFIER, y_true=["array-like", None], columns=POSITIVE)
def plot_grad_cam(
    estimator: Any,
    X: Any,
    *,
    target: Any = None,
    y_true: Any = None,
    columns: int = 4,
    **kwargs: Any,
) -> "Figure":
    """Plot images, each next to its class activation map.

    Parameters
    ----------
    estimator : classifier
        A fitted classifier, as for :func:`grad_cam`.
    X : array-like of shape (n_samples, height, width, channels)
        A few images, as for the estimator's ``predict``. Unless they are greyscale or
        RGB, the mean over the channels is shown.
    target : label or array-like of shape (n_samples,), default=None
        The class to explain; by default the predicted one.
    y_true : array-like of shape (n_samples,), default=None
        True labels; with them each title shows whether the prediction is right.
    columns : int, default=4
        Images per row, each with its map beside it.
    **kwargs : dict
        Keyword arguments passed to matplotlib's `imshow` for each map, such as
        ``cmap``.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, not managed by pyplot; ``figure.savefig(...)`` writes it. Bright
        regions support the class; the outline is at half of the maximum. Maps that the
        network computes at 4 × 4 pixels or fewer have none.

    Raises
    ------
    ValueError
        As for :func:`grad_cam`, or if the lengths differ.
    ImportError
        If matplotlib is not installed.
    """
    check_is_fitted(estimator)
    X = check_images(X, "plot_grad_cam")
    check_consistent_length(X, y_true)
    images = read_rows(X, slice(None))
    labels = predicted = estimator.predict(images)
    if target is not None:
        labels = _check_target(target, estimator, len(images))
    maps = grad_cam(estimator, images, target=labels)
    # There is a network, so Keras is loaded.
    from skwbc.cnn._grad_cam import native_size

    sides = [
        min(native_size(network.model_, inputs.shape[1:]))
        for network, inputs, _ in _networks_in(estimator, images[:1], 1.0)
    ]
    truths = true_names(y_true, estimator.classes_, len(images))
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    size = (3.6 * columns + 0.4, 2.3 * rows)
    figure, grid = new_grid(rows, 2 * columns, figsize=size)
    style = {"cmap": "inferno", "alpha": 0.5, "vmin": 0, "vmax": 1} | kwargs
    # Neighbouring axes are pairs of an image and its map.
    pairs = grid.reshape(-1, 2)
    for k, image in enumerate(scale_pixels(images)):
        bare, covered = pairs[k]
        show_image(bare, image)
        title = title_of(str(predicted[k]), truths[k])
        title["label"] = title["label"].replace(", predicted", ",\npredicted")
        bare.set_title(fontsize=9, parse_math=False, **title)
        # The image is grey here, because its colours would look like those of the map.
        show_image(covered, image.mean(axis=-1, keepdims=True))
        heatmap = covered.imshow(maps[k], **style)
        # Without support at the border, so that outlines are closed.
        inner = np.zeros_like(maps[k])
        inner[1:-1, 1:-1] = maps[k][1:-1, 1:-1]
        if min(sides) > _COARSE and inner.max() > 0.5:
            covered.contour(inner, levels=[0.5], colors="white", linewidths=1.0)
        covered.set_title(f"for {shown(labels[k])}", fontsize=9, parse_math=False)
    bar = figure.colorbar(heatmap, ax=grid, shrink=0.8, aspect=40, pad=0.01)
    bar.set_label("support for the class", fontsize=9)
    return figure


def _check_target(target: Any, estimator: Any, n_samples: int) -> np.ndarray:
    """Return the class to explain for each image."""
    labels = np.asarray(target)
    if labels.ndim == 0:
        labels = np.repeat(labels, n_samples)
    if labels.shape != (n_samples,):
        raise ValueError(
            f"target has shape {labels.shape}, but there are {n_samples} images. "
            "Expected one label for all images, or one label per image."
        )
    return estimator.classes_[encode_labels(labels, estimator.classes_)]


def _networks_in(estimator: Any, images: Any, weight: float) -> Iterator[tuple]:
    """Yield the networks of a fitted classifier, their inputs and their weights."""
    if isinstance(estimator, KFoldEnsembleClassifier):
        for member in estimator.estimators_:
            yield from _networks_in(member, images, weight)
    elif isinstance(estimator, SoftVotingClassifier):
        for part, share in zip(estimator.estimators_, estimator._weights, strict=True):
            yield from _networks_in(part, images, weight * share)
    elif isinstance(estimator, Pipeline) and (frozen := _frozen_networks(estimator)):
        features, networks = frozen
        inputs = features._as_inputs(as_finite_float32(images, "grad_cam"))
        for network, share in networks:
            yield network, inputs, weight * share
    elif isinstance(estimator, Pipeline):
        # Pipelines without a network do not transform the images.
        *others, last = steps_of(estimator)
        if isinstance(last, _CONTAINERS) or _is_network(last):
            images = transform_by(others, images)
            yield from _networks_in(last, images, weight)
    elif weight and _is_network(estimator):
        yield estimator, images, weight


def _frozen_networks(pipeline: Pipeline) -> Any:
    """Find a frozen network, and put each linear classifier behind it at its end.

    Returns
    -------
    features : NetworkFeatures
    networks : list of (namespace, float)
        Each with those attributes of a CNNClassifier that are needed here, and with the
        share of the classifier in a vote. None, in place of both, if there is no such
        network.
    """
    first, *scalers = steps_of(pipeline)
    last = scalers.pop() if scalers else first
    parts = transformers_of(first) if isinstance(first, FeatureUnion) else [first]
    places = [k for k, each in enumerate(parts) if hasattr(each, "_network_with")]
    if not places or not all(isinstance(each, StandardScaler) for each in scalers):
        return None
    features = parts[places[0]]
    start = sum(len(each.get_feature_names_out()) for each in parts[: places[0]])
    columns = slice(start, start + len(features.get_feature_names_out()))
    classifiers: Any = [(last, 1.0)]
    if isinstance(last, SoftVotingClassifier):
        classifiers = zip(last.estimators_, last._weights, strict=True)
    networks = []
    for classifier, weight in classifiers:
        coef = getattr(classifier, "coef_", None)
        if coef is None:
            continue
        for scaler in scalers:
            coef = coef if scaler.scale_ is None else coef / scaler.scale_
        if (network := features._network_with(coef[:, columns])) is not None:
            like_cnn = SimpleNamespace(
                model_=network,
                classes_=classifier.classes_,
                image_shape_=features._input_shape,
                test_time_augmentation=features.views,
            )
            networks.append((like_cnn, weight))
    return (features, networks) if networks else None


def _is_network(estimator: Any) -> bool:
    # Importing CNNClassifier would load Keras.
    return hasattr(estimator, "model_") and hasattr(estimator, "test_time_augmentation")


def _maps_of(
    network: Any, images: Any, labels: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Return a network's maps, from 0 to 1, for classes that it was trained on."""
    from skwbc.cnn._grad_cam import class_activation_maps
    from skwbc.cnn._views import views_of

    images = check_images(images, "grad_cam", image_shape=network.image_shape_)
    codes = np.searchsorted(network.classes_, labels)
    views = views_of(network.test_time_augmentation, images.shape[1:])
    return _scale(class_activation_maps(network.model_, images, codes, size, views))


def _scale(maps: np.ndarray) -> np.ndarray:
    """Divide each map by its maximum, unless that is 0."""
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)
