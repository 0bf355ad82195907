"""From images to what a frozen network sees in them."""

import copy
import functools
import os
from collections.abc import Callable
from numbers import Integral
from types import FunctionType
from typing import Any, Self

import cv2
import keras
import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import gen_batches

from skwbc._utils.fitting import store_fitted
from skwbc._utils.lazy_arrays import PREDICTION_BATCH
from skwbc._utils.row_cache import cached_rows
from skwbc._utils.sklearn_compat import Interval, StrOptions, fit_context
from skwbc.augmentation._appearance import check_scale
from skwbc.augmentation._images import ImageTransformer, check_images, float_batches
from skwbc.cnn._frozen import Encoder, KerasEncoder, find_encoder
from skwbc.cnn._networks import find_builder
from skwbc.cnn._views import KINDS, views_of

# Side of the images in which the networks of this package saw cells.
_SIDE = 100
# Features are divided by their length, or by this.
SHORTEST = 1e-6


class NetworkFeatures(ClassNamePrefixFeaturesOutMixin, ImageTransformer):
    """Describe images by the maps of a network that is not trained.

    The last maps of a pretrained network, each averaged over its pixels and over
    rotated and mirrored views of the image, are features for a linear classifier, which
    learns them in seconds. The features of an image are kept in memory for a while, so
    the folds of an ensemble and of a search compute them once.

    Parameters
    ----------
    network : str, path-like, keras.Model or callable, default="blood_cells"
        The network:

        - "blood_cells", :func:`build_compact_cnn` and :func:`build_residual_cnn` with
          the weights of that name, side by side and without their last layers: 384
          features;
        - a Keras model, which is copied, so training it later changes nothing;
        - a function that returns one, such as ``functools.partial`` of one in
          `keras.applications`. It may take an argument `meta`, a dict with
          ``image_shape_``. Each ``fit`` calls it;
        - the import path of such a function, "package.module:function", which only
          ``fit`` imports;
        - the path of an ".onnx" file, which only ``fit`` reads. It takes a batch of
          float32 images, and its first output counts. Its channels come first unless
          only the last axis of its input can have 1 or 3 of them. Needs the extra
          ``onnx``.

        The output of the network is taken as it is if there is one row per image. Maps
        are averaged over pixels, and tokens of a transformer over all tokens.
    image_size : int, tuple of int or None, default=None
        Side, or (height, width), that images are resized to. None is the size that the
        network takes if that is fixed, and otherwise the size of the images. For
        "blood_cells" it is the size at which it was trained: the area of 100 x 100
        pixels, with the proportions of the images.
        A network for RGB images sees each channel of other images by itself, as a grey
        image, so there are as many times more features.
    preprocessing : callable or None, default=None
        Function that turns float32 images of shape (n, height, width, channels) with
        values from 0 to 255 into what the network takes, each image by itself, such as
        ``preprocess_input`` of a module in `keras.applications`. By default the values
        stay what they are. "blood_cells" takes them divided by 255 and less the mean of
        each image.
    views : {"dihedral", "rotations"} or None, default="rotations"
        Views of an image that features are averaged over, as in
        :class:`CNNClassifier`. With None there is one, and features depend on how the
        cell is turned.

    Attributes
    ----------
    image_shape_ : tuple of int
        (height, width, channels) of the images that ``fit`` was given.
    white_level_ : float
        Pixel value of white, as in :class:`ColourStatistics`. Images are multiplied by
        ``255 / white_level_``.

    See Also
    --------
    make_cell_classifier : The recipe "features" uses it.
    CNNClassifier : Trains a network.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skwbc import NetworkFeatures
    >>> from skwbc.datasets import make_blood_cells
    >>> X, y = make_blood_cells(6, image_size=(32, 32), random_state=0)
    >>> NetworkFeatures().fit_transform(X).shape
    (18, 384)
    >>> clf = make_pipeline(NetworkFeatures(), StandardScaler(), LogisticRegression())
    >>> clf.fit(X, y).predict(X).shape
    (18,)
    """

    __module__ = "skwbc"  # the address in pickles

    _parameter_constraints: dict = {
        "network": [str, os.PathLike, keras.Model, callable],
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "preprocessing": [callable, None],
        "views": [StrOptions(set(KINDS)), None],
    }
    _gives_arrays = True
    _spaces_suffice = True
    # Earlier versions did not store it.
    _appearance: dict[str, Any] | None = None

    def __init__(
        self,
        network: str | os.PathLike | keras.Model | Callable = "blood_cells",
        *,
        image_size: int | tuple[int, int] | None = None,
        preprocessing: Callable[[np.ndarray], np.ndarray] | None = None,
        views: str | None = "rotations",
    ) -> None:
        self.network = network
        self.image_size = image_size
        self.preprocessing = preprocessing
        self.views = views

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Build or read the network, and store the shape of the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of any real numeric type.
        y : None
            Ignored.

        Returns
        -------
        NetworkFeatures
            The transformer itself.

        Raises
        ------
        ValueError
            If `X` is not an array of images, holds NaN or infinity, or does not fit
            the network, or there is no such network.
        TypeError
            If the function returns no Keras model.
        FileNotFoundError
            If the file does not exist.
        ImportError
            If `network` is a file and ONNX Runtime is not installed.
        RuntimeError
            If this process was forked after its parent had used a network.
        """
        owner = type(self).__name__
        X = check_images(X, owner)
        shape = tuple(X.shape[1:])
        size = _as_size(self.image_size)
        encoder, is_shipped = find_encoder(
            self.network, (*(size or shape[:2]), shape[2]), owner
        )
        if is_shipped and size is None:
            size = _standard_size(shape)
        # Values of a fit are set on a copy first, as the trial may fail.
        draft = copy.copy(self)
        fitted: dict[str, Any] = {
            **self._look_at(X),
            "_encoder": encoder,
            "_input_shape": _input_shape(encoder, shape, size),
            "_centres": is_shipped and self.preprocessing is None,
        }
        store_fitted(draft, **fitted)
        trial = draft._describe(np.zeros((1, *shape), np.float32))
        store_fitted(self, **fitted, _n_features_out=trial.shape[1])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Describe images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of the size that ``fit`` was given. They are read in batches.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float32

        Raises
        ------
        ValueError
            If `X` is not an array of images of that size, or holds NaN or infinity.
        RuntimeError
            As for :meth:`fit`.
        """
        X = self._check(X)
        check_scale(self._appearance, X, type(self).__name__)
        key = self._transform_key
        return np.concatenate(
            [
                self._describe(images)
                if key is None
                else cached_rows(images, self._describe, key)
                for images in float_batches(X, type(self).__name__)
            ]
        )

    def _describe(self, images: np.ndarray) -> np.ndarray:
        """Return the features of float32 images, which may be changed."""
        return np.hstack([self._see(images[..., part]) for part in self._parts])

    @property
    def _parts(self) -> list[slice]:
        """Channels that the network gets at a time."""
        n_channels = self.image_shape_[2]
        if n_channels == self._input_shape[2]:
            return [slice(None)]
        return [slice(channel, channel + 1) for channel in range(n_channels)]

    def _see(self, images: np.ndarray) -> np.ndarray:
        views = views_of(self.views, self._input_shape)
        size = max(1, PREDICTION_BATCH // max(1, len(views)))
        rows = []
        for part in gen_batches(len(images), size):
            batch = self._as_inputs(images[part])
            if views:
                batch = np.concatenate([view(batch) for view in views])
            output = self._encoder.run(batch)
            if output.ndim != 2 or len(output) != len(batch):
                raise ValueError(
                    f"The network turned {len(batch)} images into an output of shape "
                    f"{output.shape}; expected one row per image, maps or tokens."
                )
            if views:
                output = output.reshape(len(views), -1, output.shape[1]).mean(axis=0)
            rows.append(output)
        return np.concatenate(rows).astype(np.float32)

    def _as_inputs(self, images: np.ndarray) -> np.ndarray:
        """Turn float32 images into what the network takes."""
        height, width, n_channels = self._input_shape
        if self.white_level_ != 255:
            images = images * np.float32(255 / self.white_level_)
        if (height, width) != self.image_shape_[:2]:
            by_row, by_column = (
                resizing(old, new)
                for old, new in zip(self.image_shape_[:2], (height, width), strict=True)
            )
            images = by_row @ images.reshape(len(images), len(by_row.T), -1)
            images = images.reshape(len(images), height, len(by_column.T), -1)
            images = by_column @ images
        if images.shape[-1] != n_channels:
            images = np.repeat(images, n_channels, axis=-1)
        if self._centres:
            images = images / np.float32(255)
            means = images.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
            return images - means.astype(np.float32)
        if self.preprocessing is None:
            return images
        inputs = np.asarray(self.preprocessing(images.copy()))
        if inputs.shape != images.shape or inputs.dtype.kind not in "buif":
            raise ValueError(
                "preprocessing must return images of real numbers that have the shape "
                f"of its input, {images.shape}; it returned an array of shape "
                f"{inputs.shape} and dtype {inputs.dtype}."
            )
        return inputs.astype(np.float32, copy=False)

    @property
    def _transform_key(self) -> tuple | None:
        """Equal for transformers that do the same (see ``ensemble/_together.py``)."""
        function = self.preprocessing
        if not isinstance(function, FunctionType | None):
            return None  # It may have changed since.
        settings = (
            self.image_shape_,
            self._input_shape,
            self.white_level_,
            self._centres,
        )
        return self._encoder.digest, self.views, function, settings

    def _spaces(self, X: Any) -> list[np.ndarray]:
        """Describe what is seen, and how images look (``ensemble/_together.py``)."""
        maps = self.transform(X).astype(np.float64)
        lengths = np.linalg.norm(maps, axis=1, keepdims=True)
        looks = self._looks(X, self.white_level_)
        return [maps / np.maximum(lengths, SHORTEST), *looks]

    def _network_with(self, coef: np.ndarray) -> Any:
        """Return a network that ends in linear scores; None for an ONNX file."""
        if not isinstance(self._encoder, KerasEncoder):
            return None
        network = self._encoder.network
        activation = "softmax" if len(coef) > 1 else "sigmoid"
        end = keras.layers.Dense(len(coef), activation=activation, use_bias=False)
        joined = keras.Model(network.inputs[0], end(network.outputs[0]))
        end.set_weights([coef.T])
        return joined

    def _fingerprint_parts(self) -> list[Any]:
        """Return the function that `network` names by its import path."""
        if isinstance(self.network, str) and ":" in self.network:
            return [find_builder(self.network, "network")]
        return []

    def __sklearn_clone__(self):
        # A network is never changed, so clones have the same one.
        bare = copy.copy(self)
        bare.network = ""
        twin = super(NetworkFeatures, bare).__sklearn_clone__()
        twin.network = self.network
        return twin

    def __copy__(self):
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if isinstance(self.network, keras.Model):
            # Without the optimizer, and once for all that have it.
            shape = state.get("image_shape_", (32, 32, 3))
            state["network"], _ = find_encoder(self.network, shape, type(self).__name__)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        network = state["network"]
        if isinstance(network, KerasEncoder):
            state = {**state, "network": network.content}
        super().__setstate__(state)


@functools.lru_cache(64)
def resizing(old: int, new: int) -> np.ndarray:
    """Return the matrix, (new, old), that resizes an axis of images."""
    kind = cv2.INTER_AREA if new < old else cv2.INTER_LINEAR
    return cv2.resize(np.eye(old, dtype=np.float32), (old, new), interpolation=kind)


def _as_size(image_size: Any) -> tuple[int, int] | None:
    if image_size is None:
        return None
    size = [image_size] * 2 if isinstance(image_size, Integral) else list(image_size)
    if len(size) != 2 or not all(isinstance(n, Integral) and int(n) > 0 for n in size):
        raise ValueError(
            f"image_size={image_size!r}; expected a positive integer, or a pair of "
            "them, (height, width)."
        )
    return int(size[0]), int(size[1])


def _standard_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the size, in the proportions of images, with the area of training."""
    scale = _SIDE / np.sqrt(shape[0] * shape[1])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _input_shape(
    encoder: Encoder, shape: tuple[int, ...], size: tuple[int, int] | None
) -> tuple[int, ...]:
    """Return the shape of the images that the network is given."""
    *sides, n_channels = encoder.input_shape
    target = tuple(
        side or old for side, old in zip(size or sides, shape[:2], strict=True)
    )
    if any(side not in (None, new) for side, new in zip(sides, target, strict=True)):
        raise ValueError(
            f"image_size={size}, but the network takes images of {sides[0]} x "
            f"{sides[1]} pixels. Leave image_size out, or set it to that."
        )
    if n_channels not in (None, 3, shape[2]):
        raise ValueError(
            f"The network takes images with {n_channels} channels, but X has "
            f"{shape[2]}. Choose another network, or those channels."
        )
    return (*target, n_channels or shape[2])
