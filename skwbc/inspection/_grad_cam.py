"""Where in an image the networks of an ensemble see a class."""

import math
from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skwbc._utils.labels import encode_labels, label_names
from skwbc._utils.lazy_arrays import PREDICTION_BATCH, read_rows
from skwbc._utils.sklearn_compat import HasMethods, Interval, validate_params
from skwbc.augmentation._images import check_images
from skwbc.ensemble import KFoldEnsembleClassifier, SoftVotingClassifier
from skwbc.inspection._plots import new_figure, pixel_range, show_image, title_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Images at a time, of which standardised copies are made.
_AT_A_TIME = 4 * PREDICTION_BATCH
_CONTAINERS = (KFoldEnsembleClassifier, SoftVotingClassifier, Pipeline)


@validate_params(
    {
        "estimator": [HasMethods(["predict", "predict_proba"])],
        "X": "no_validation",
        "target": "no_validation",
    },
    prefer_skip_nested_validation=True,
)
def grad_cam(estimator: Any, X: Any, *, target: Any = None) -> np.ndarray:
    """Return where in each image the networks see a class (Grad-CAM).

    Parameters
    ----------
    estimator : classifier
        Fitted: a :class:`~skwbc.KFoldEnsembleClassifier`, one of its members, a
        pipeline or a :class:`~skwbc.CNNClassifier`.
    X : array-like of shape (n_samples, height, width, channels)
        Images, as the estimator predicts them.
    target : label or array-like of shape (n_samples,), default=None
        The class to look for, one for all images or one for each. By default it is the
        class that the estimator predicts.

    Returns
    -------
    ndarray of shape (n_samples, height, width), float32
        From 0, this does not speak for the class, to 1, nothing in this image speaks
        more for it. All 0 where nothing does.

    Raises
    ------
    ValueError
        If the estimator holds no :class:`~skwbc.CNNClassifier`, does not know a label
        in `target`, or a network has no maps of more than one pixel.

    See Also
    --------
    plot_grad_cam : A picture of it.

    Notes
    -----
    This is Grad-CAM [1]_: the maps that the last convolutions give are added up, each
    weighted by the mean gradient of the class's score with respect to it, what is
    negative is left out, and the rest is enlarged to the size of the image. The score
    is what the network's softmax is given for the class. The maps are coarse: those of
    the default network have a pixel for each 16 x 16 pixels of the image.

    Each network's map is scaled to 0 to 1, then they are averaged over all networks
    that know the class, and scaled again. Of a
    :class:`~skwbc.SoftVotingClassifier` only the networks have a say, by their weights;
    what its other estimators look at cannot be told in this way. Where networks predict
    an image from several views, the map is the mean over these views, turned back.

    A map says where the network looks, and not whether it is right to look there.

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
    labels = None if target is None else _check_target(target, estimator, len(X))
    maps = np.zeros(X.shape[:3], np.float32)
    for rows in gen_batches(len(X), _AT_A_TIME):
        images = read_rows(X, rows)
        wanted = estimator.predict(images) if labels is None else labels[rows]
        n_networks = 0
        for network, seen, weight in _networks_in(estimator, images, 1.0):
            n_networks += 1
            known = np.isin(wanted, network.classes_)
            if known.any():
                found = _maps_of(network, seen[known], wanted[known], X.shape[1:3])
                maps[rows][known] += weight * found
        if not n_networks:
            raise ValueError(
                f"grad_cam looks into Keras networks, and this "
                f"{type(estimator).__name__} holds none. Expected a fitted "
                "CNNClassifier, or a pipeline, vote or fold ensemble with one; of an "
                "exported model, what it was exported from."
            )
    return _scale(maps)


@validate_params(
    {
        "estimator": [HasMethods(["predict", "predict_proba"])],
        "X": "no_validation",
        "target": "no_validation",
        "y_true": ["array-like", None],
        "columns": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def plot_grad_cam(
    estimator: Any, X: Any, *, target: Any = None, y_true: Any = None, columns: int = 4
) -> "Figure":
    """Draw images, and beside each where the networks see a class in it.

    Parameters
    ----------
    estimator : classifier
        As for :func:`grad_cam`.
    X : array-like of shape (n_samples, height, width, channels)
        A few images, as the estimator predicts them. Of those that are neither grey nor
        RGB the mean over the channels is shown.
    target : label or array-like of shape (n_samples,), default=None
        The class to look for, by default the predicted one.
    y_true : array-like of shape (n_samples,), default=None
        True labels; with them a title says whether the first choice is right.
    columns : int, default=4
        Images in a row, each with its map beside it.

    Returns
    -------
    matplotlib.figure.Figure
        Not bound to a window; ``figure.savefig(...)`` writes it. The brighter a place,
        the more it speaks for the class; the line is where that is half of the most.

    Raises
    ------
    ValueError
        As :func:`grad_cam`, or if the lengths differ.
    ImportError
        If matplotlib is not installed.
    """
    check_is_fitted(estimator)
    X = check_images(X, "plot_grad_cam")
    check_consistent_length(X, y_true)
    images = read_rows(X, slice(None))
    predicted = estimator.predict(images)
    if target is None:
        wanted = predicted
    else:
        wanted = _check_target(target, estimator, len(images))
    maps = grad_cam(estimator, images, target=wanted)
    truths: list[str | None] = [None] * len(images)
    if y_true is not None:
        truths = list(label_names(y_true, estimator.classes_))
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    figure = new_figure(figsize=(3.6 * columns + 0.4, 2.3 * rows), layout="constrained")
    grid = figure.subplots(rows, 2 * columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    low, high = pixel_range(images)
    for k, image in enumerate(((images - low) / (high - low)).clip(0, 1)):
        row, column = divmod(k, columns)
        bare, covered = grid[row, 2 * column : 2 * column + 2]
        show_image(bare, image)
        title = title_of(str(predicted[k]), truths[k])
        title["label"] = title["label"].replace(", taken", ",\ntaken")
        bare.set_title(fontsize=9, **title)
        # Grey, or its own colours would be taken for those of the map.
        show_image(covered, image.mean(axis=-1, keepdims=True))
        drawn = covered.imshow(maps[k], cmap="inferno", alpha=0.5, vmin=0, vmax=1)
        if maps[k].min() < 0.5 < maps[k].max():
            covered.contour(maps[k], levels=[0.5], colors="white", linewidths=1.0)
        covered.set_title(f"for {wanted[k]}", fontsize=9)
    bar = figure.colorbar(drawn, ax=grid, shrink=0.8, aspect=40, pad=0.01)
    bar.set_label("speaks for the class", fontsize=9)
    return figure


def _check_target(target: Any, estimator: Any, n_samples: int) -> np.ndarray:
    """Return the label that is looked for in each image."""
    labels = np.asarray(target)
    if labels.ndim == 0:
        labels = np.repeat(labels, n_samples)
    if labels.shape != (n_samples,):
        raise ValueError(
            f"target has shape {labels.shape}, but there are {n_samples} images. "
            "Expected one label for all of them, or one for each."
        )
    return estimator.classes_[encode_labels(labels, estimator.classes_)]


def _networks_in(
    estimator: Any, images: Any, weight: float
) -> Iterator[tuple[Any, Any, float]]:
    """Yield the networks of a fitted classifier, what each is shown, and its weight."""
    if isinstance(estimator, KFoldEnsembleClassifier):
        for member in estimator.estimators_:
            yield from _networks_in(member, images, weight)
    elif isinstance(estimator, SoftVotingClassifier):
        for part, share in zip(estimator.estimators_, estimator._weights, strict=True):
            yield from _networks_in(part, images, weight * share)
    elif isinstance(estimator, Pipeline):
        # Before anything is transformed for the estimators that have no network.
        last = estimator[-1]
        if isinstance(last, _CONTAINERS) or _is_network(last):
            if len(estimator) > 1:
                images = estimator[:-1].transform(images)
            yield from _networks_in(last, images, weight)
    elif weight and _is_network(estimator):
        yield estimator, images, weight


def _is_network(estimator: Any) -> bool:
    if not hasattr(estimator, "model_"):
        return False  # Which is known without loading Keras.
    from skwbc.cnn import CNNClassifier

    return isinstance(estimator, CNNClassifier)


def _maps_of(
    network: Any, images: Any, labels: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Return the maps of a network for classes that it knows, from 0 to 1."""
    from skwbc.cnn._grad_cam import class_activation_maps
    from skwbc.cnn._views import views_of

    images = check_images(images, "grad_cam", image_shape=network.image_shape_)
    codes = np.searchsorted(network.classes_, labels)
    views = views_of(network.test_time_augmentation, images.shape[1:])
    return _scale(class_activation_maps(network.model_, images, codes, size, views))


def _scale(maps: np.ndarray) -> np.ndarray:
    """Divide each map by its highest value, unless that is 0."""
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)
