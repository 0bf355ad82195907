"""The transformer that augments and standardises images."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from skwbc._utils.fitting import store_fitted
from skwbc._utils.lazy_arrays import is_lazy
from skwbc._utils.random import draw_seed
from skwbc._utils.sklearn_compat import Interval, StrOptions, fit_context
from skwbc.augmentation._affine import BORDERS
from skwbc.augmentation._appearance import check_scale, describe_appearance
from skwbc.augmentation._images import ImageTransformer, check_images, value_range
from skwbc.augmentation._lazy import AugmentedImages, StandardisedImages
from skwbc.augmentation._plan import AugmentationPlan
from skwbc.augmentation._standardise import fit_whitening, moments

_POSITIVE = Interval(Real, 0, None, closed="neither")
# Attributes that only some options need.
_LEARNT = ("white_level_", "mean_", "std_", "zca_components_", "zca_scale_")


@dataclass(kw_only=True, eq=False, repr=False)
class ImageAugmenter(ImageTransformer):
    """Augment images while a classifier is fitted, and always standardise them.

    ``transform`` is deterministic: it standardises. ``fit_transform``, which a pipeline
    calls in its ``fit``, returns :class:`AugmentedImages` if any of the options below
    is random. This array-like changes the images, and then standardises them, each time
    a batch is drawn. So only training images are changed.

    The options have the same names and meaning as in Keras' retired
    ``ImageDataGenerator``; `stain_jitter` is for stained specimens. They are applied in
    this order: rotation, shift, shear, zoom and flips in one interpolation; stain;
    channel shift; brightness; then, to every image, `preprocessing_function`,
    `rescale`, the samplewise options, the featurewise options, and whitening.

    Parameters
    ----------
    featurewise_center : bool, default=False
        Subtract from each channel its mean over the images of ``fit``.
    samplewise_center : bool, default=False
        Subtract from each image its own mean over rows, columns and channels.
    featurewise_std_normalization : bool, default=False
        Divide each channel by its standard deviation over the images of ``fit``.
        Implies `featurewise_center`.
    samplewise_std_normalization : bool, default=False
        Divide each image by its own standard deviation. Implies `samplewise_center`.
    zca_whitening : bool, default=False
        Decorrelate all pixel values by zero-phase component analysis. Implies
        `featurewise_center`, and replaces `featurewise_std_normalization`. Suited to
        small images: ``fit`` holds all of them in double precision, and the augmenter
        keeps at most as many components as there were images.
    zca_epsilon : float, default=1e-6
        Added to the singular values before dividing by them in whitening.
    rotation_range : float, default=0
        Rotate by an angle drawn uniformly from ±`rotation_range` degrees, 0 to 360.
    width_shift_range : float, int or array-like, default=0.0
        Shift left or right. A float below 1 is a fraction of the width, any other float
        a number of pixels; the distance is drawn uniformly from ± that. With an int n
        the distance is one of 0 to n - 1 pixels, in either direction. With an
        array-like it is one of its values, in either direction: fractions if all of
        them are below 1, pixels otherwise.
    height_shift_range : float, int or array-like, default=0.0
        Shift up or down in the same way, by fractions of the height or by pixels.
    brightness_range : pair of float, default=None
        Multiply all values by a factor drawn uniformly from the pair. 0 makes an image
        black; values are clipped at white, see `white_level_`.
    shear_range : float, default=0.0
        Shear by an angle drawn uniformly from ±`shear_range` degrees, 0 to 90
        (excluded).
    zoom_range : float or pair of float, default=0.0
        Zoom height and width by factors drawn uniformly from the pair; a number z from
        0 to 1 (excluded) is short for (1 - z, 1 + z). A factor below 1 enlarges.
    channel_shift_range : float, default=0.0
        Add to all channels a value drawn uniformly from ±`channel_shift_range`, on the
        scale of the input, without leaving the range of the image's own values.
    fill_mode : {"nearest", "constant", "reflect", "wrap"}, default="nearest"
        How to fill pixels from beyond the border: with the nearest pixel, `cval`, the
        mirrored image, or the repeated image.
    cval : float, default=0.0
        The value beyond the border with ``fill_mode="constant"``, on the scale of the
        input.
    horizontal_flip : bool, default=False
        Flip left and right, with probability 1/2.
    vertical_flip : bool, default=False
        Flip up and down, with probability 1/2.
    rescale : float or "auto", default=None
        Factor for all pixel values, for example 1/255. "auto" divides by the white
        level of the images of ``fit``; values below 0 are left as they are.
    preprocessing_function : callable, default=None
        Takes one image, a float32 array, and returns one of the same shape. It should
        not be random, since ``transform`` applies it, too. Define it in a module, not
        interactively, so that the model can be saved.
    data_format : {"channels_last", "channels_first"}, default="channels_last"
        Whether images are (height, width, channels) or (channels, height, width), both
        in the input and in the output.
    stain_jitter : float or pair of float, default=0.0
        For RGB images of stained specimens. Multiply the concentrations of haematoxylin
        and of eosin in an image by factors drawn uniformly from 1 ± the first number,
        and add an optical density drawn uniformly from ± the second; a single number
        stands for both. 0.05 is light, 0.2 strong [1]_. Stains are separated by colour
        deconvolution [2]_; colour that neither of them explains is not changed.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. None takes fresh entropy; the global NumPy state is never
        used.

    Attributes
    ----------
    image_shape_ : tuple of int
        Shape of each image of ``fit``, in the order of `data_format`.
    mean_ : ndarray of shape (channels,)
        Mean of each channel. Only with a featurewise option or whitening. As in Keras,
        this and the following attributes are computed after `preprocessing_function`
        and `rescale`, and before the samplewise options.
    std_ : ndarray of shape (channels,)
        Standard deviation of each channel. Only with `featurewise_std_normalization`.
    zca_components_ : ndarray of shape (n_components, height * width * channels)
        Directions in which the images vary. Only with `zca_whitening`.
    zca_scale_ : ndarray of shape (n_components,)
        Factors of whitening for the coordinates along them.
    white_level_ : float
        The pixel value that counts as white: 255 for uint8, 1 for bool. For other types
        it is the least of 1, 255, 4095 and 65535 that no value in ``fit`` exceeds, or
        else the largest value; floats may exceed it by a tenth. Only with
        `brightness_range` or `stain_jitter`.

    See Also
    --------
    AugmentedImages : Lazy images, the result of ``fit_transform``.
    FlattenImages : Turn images into rows, for classifiers of rows.

    Notes
    -----
    For the same drawn parameters the geometric options agree with Keras' to float
    rounding, with these exceptions. Images that are not square are rotated about their
    centre. `height_shift_range` shifts rows and `width_shift_range` columns; Keras 3
    exchanges the two. With ``fill_mode="constant"`` pixels at the border are
    interpolated with `cval`, and ``fill_mode="wrap"`` repeats with the period of the
    image (SciPy's "grid-constant" and "grid-wrap"). Brightness works on any scale of
    values, without rounding. Whitening leaves out directions in which the training
    images do not vary, where Keras divides rounding errors by `zca_epsilon`. Statistics
    are computed after `preprocessing_function`.

    References
    ----------
    .. [1] D. Tellez et al., "Whole-slide mitosis detection in H&E breast histology
       using PHH3 as a reference to train distilled stain-invariant convolutional
       networks", IEEE Transactions on Medical Imaging 37 (2018).
    .. [2] A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining
       by color deconvolution", Analytical and Quantitative Cytology and Histology 23
       (2001).

    Examples
    --------
    >>> import numpy as np
    >>> from skwbc import ImageAugmenter
    >>> X = np.random.default_rng(0).integers(256, size=(5, 16, 16, 3), dtype=np.uint8)
    >>> augmenter = ImageAugmenter(rescale=1 / 255, samplewise_center=True,
    ...                            rotation_range=180, horizontal_flip=True)
    >>> augmenter.fit_transform(X)
    AugmentedImages(shape=(5, 16, 16, 3), dtype=float32)
    >>> type(augmenter.transform(X))
    <class 'numpy.ndarray'>
    """

    __module__ = "skwbc"  # where pickles look for it
    _preserves_dtype = ("float32",)

    featurewise_center: bool = False
    samplewise_center: bool = False
    featurewise_std_normalization: bool = False
    samplewise_std_normalization: bool = False
    zca_whitening: bool = False
    zca_epsilon: float = 1e-6
    rotation_range: float = 0
    width_shift_range: float | Sequence[float] = 0.0
    height_shift_range: float | Sequence[float] = 0.0
    brightness_range: Sequence[float] | None = None
    shear_range: float = 0.0
    zoom_range: float | Sequence[float] = 0.0
    channel_shift_range: float = 0.0
    fill_mode: str = "nearest"
    cval: float = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    rescale: float | str | None = None
    preprocessing_function: Callable[[np.ndarray], Any] | None = None
    data_format: str = "channels_last"
    stain_jitter: float | Sequence[float] = 0.0
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict] = {
        "featurewise_center": ["boolean"],
        "samplewise_center": ["boolean"],
        "featurewise_std_normalization": ["boolean"],
        "samplewise_std_normalization": ["boolean"],
        "zca_whitening": ["boolean"],
        "zca_epsilon": [_POSITIVE],
        "rotation_range": [Interval(Real, 0, 360, closed="both")],
        "width_shift_range": [Interval(Real, 0, None, closed="left"), "array-like"],
        "height_shift_range": [Interval(Real, 0, None, closed="left"), "array-like"],
        "brightness_range": ["array-like", None],
        "shear_range": [Interval(Real, 0, 90, closed="left")],
        "zoom_range": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "channel_shift_range": [Interval(Real, 0, None, closed="left")],
        "fill_mode": [StrOptions(set(BORDERS))],
        "cval": [Interval(Real, None, None, closed="neither")],
        "horizontal_flip": ["boolean"],
        "vertical_flip": ["boolean"],
        "rescale": [_POSITIVE, StrOptions({"auto"}), None],
        "preprocessing_function": [callable, None],
        "data_format": [StrOptions({"channels_last", "channels_first"})],
        "stain_jitter": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "random_state": ["random_state"],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check parameters and images, and compute the statistics that options need.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of any real numeric type; (n_samples, channels, height, width) with
            ``data_format="channels_first"``. Memory maps and lazy arrays are read in
            batches, all of them only if statistics or their range are needed, or their
            data type is floating, to check for NaN.
        y : None
            Ignored, present for scikit-learn's pipelines.

        Returns
        -------
        ImageAugmenter
            The augmenter itself.

        Raises
        ------
        ValueError
            If a parameter is out of range, `X` is not an array of images, or the
            parameters do not suit the images.

        Warns
        -----
        UserWarning
            If `zca_whitening` overrides `featurewise_std_normalization`.
        """
        owner = type(self).__name__
        X = check_images(X, owner, data_format=self.data_format)
        shape = tuple(X.shape[1:])
        options = {name: getattr(self, name) for name in _OPTIONS}
        is_auto = self.rescale == "auto"
        # Check parameters before reading images.
        plan = AugmentationPlan(options | ({"rescale": None} if is_auto else {}), shape)
        if any(plan.colour.stain) and X.shape[plan.channel_axis] != 3:
            raise ValueError(
                "stain_jitter is for RGB images, but X has images with "
                f"{X.shape[plan.channel_axis]} channels (shape {shape}, "
                f"{self.data_format})."
            )
        if is_auto:
            low, white = value_range(X, owner)
            options["rescale"] = None if low < 0 else 1 / white
            plan = AugmentationPlan(options, shape)
        learnt = self._learn(X, plan)
        plan = AugmentationPlan(options, shape, learnt, owner)
        look = describe_appearance(X) if self.data_format == "channels_last" else None
        fitted = {f"{name}_": value for name, value in learnt.items()}
        fitted |= {"image_shape_": shape, "_appearance": look}
        store_fitted(self, drop=_LEARNT, _plan=plan, **fitted)
        return self

    def transform(self, X: Any) -> "np.ndarray | StandardisedImages":
        """Standardise images, without random changes.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of the same size as in ``fit``. They are not changed.

        Returns
        -------
        ndarray or lazy array of shape (n_samples, height, width, channels), float32
            Standardised images. If `X` is a memory map or a lazy array the result is
            lazy, too: each batch is standardised when it is read, and ``np.asarray``
            reads them all.

        Raises
        ------
        ValueError
            If `X` is not an array of images of that size, or holds NaN or infinity.
        """
        X = self._check(X, self.data_format)
        check_scale(self._appearance, X, type(self).__name__)
        if is_lazy(X):
            return StandardisedImages(X, self._plan)
        return self._plan.apply(X)

    def fit_transform(
        self, X: Any, y: Any = None
    ) -> "AugmentedImages | np.ndarray | StandardisedImages":
        """Fit, and return the images to train on.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Images of any real numeric type. They are kept, without a copy.
        y : None
            Ignored.

        Returns
        -------
        AugmentedImages, or the result of ``transform``
            Lazy images that are augmented at each draw; the result of ``transform`` if
            no option is random.
        """
        return super().fit_transform(X)

    def _transform_to_train(self, X: Any) -> Any:
        if not self._plan.is_random:
            return self.transform(X)
        X = check_images(X, type(self).__name__, data_format=self.data_format)
        return AugmentedImages(X, self._plan, draw_seed(self.random_state))

    def _spaces(self, X: Any) -> list[np.ndarray]:
        """Describe how images look (see ``ensemble/_together.py``)."""
        look = self._appearance
        return [] if look is None else self._looks(X, look["white"])

    @property
    def _transform_key(self) -> tuple | None:
        """Equal for transformers that do the same (see ``ensemble/_together.py``)."""
        settings = self._plan.standardisation.settings
        if settings is None:
            return None
        return settings, self.data_format, self.image_shape_

    def _learn(self, X: Any, plan: AugmentationPlan) -> dict[str, Any]:
        """Check pixel values as far as needed; return what the plan needs of them."""
        owner = type(self).__name__
        learnt: dict[str, Any] = {}
        needs_white = any(plan.colour.stain) or plan.colour.brightness != (1.0, 1.0)
        # Floats are read in any case, because of NaN and infinity.
        if needs_white or X.dtype.kind == "f":
            low, white = value_range(X, owner)
        if needs_white:
            if low < 0:
                raise ValueError(
                    "brightness_range and stain_jitter need pixel values from 0, "
                    f"black, upwards; X has values down to {low:.3g}. Pass images that "
                    f"are not centred yet; {owner} centres them after changing colours."
                )
            learnt["white_level"] = white
        divide = self.featurewise_std_normalization
        if self.zca_whitening and divide:
            warnings.warn(
                "zca_whitening scales all directions itself and overrides "
                "featurewise_std_normalization. Set only one of them.",
                stacklevel=3,
            )
            divide = False
        prepare = plan.standardisation
        if self.featurewise_center or divide or self.zca_whitening:
            learnt["mean"], std = moments(X, prepare, plan.channel_axis, owner)
            if divide:
                learnt["std"] = std
        if self.zca_whitening:
            mean = plan.per_channel(learnt["mean"])
            whitening = fit_whitening(X, prepare, mean, self.zca_epsilon, owner)
            learnt["zca_components"], learnt["zca_scale"] = whitening
        return learnt


_OPTIONS = ImageAugmenter._parameter_constraints.keys() - {"random_state"}
