"""A picture of what an augmenter does to images."""

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skwbc._utils.sklearn_compat import Interval, validate_params
from skwbc.augmentation import AugmentedImages, ImageAugmenter
from skwbc.augmentation._images import check_images
from skwbc.inspection._plots import new_figure, pixel_range, show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NOT_RANDOM = {
    "featurewise_center": False,
    "samplewise_center": False,
    "featurewise_std_normalization": False,
    "samplewise_std_normalization": False,
    "zca_whitening": False,
    "rescale": None,
    "preprocessing_function": None,
}


@validate_params(
    {
        "augmenter": [ImageAugmenter],
        "images": ["array-like"],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def plot_augmentations(
    augmenter: ImageAugmenter, images: Any, *, n_draws: int = 6, random_state: int = 0
) -> "Figure":
    """Draw images and what an augmenter makes of them while a network is trained.

    A row an image, the original first. The random options are shown alone: without
    `preprocessing_function`, rescaling, centring and whitening, which are the same for
    every draw and leave nothing that can be looked at.

    Parameters
    ----------
    augmenter : ImageAugmenter
        Fitted or not; it is not changed. The one of a recipe is
        ``make_cell_classifier().estimator["augmenter"]``.
    images : array-like of shape (n_samples, height, width, channels)
        A few images; (n_samples, channels, height, width) if the augmenter says so. Of
        those that are neither grey nor RGB the mean over the channels is shown.
    n_draws : int, default=6
        Draws of each image.
    random_state : int, default=0
        Seed of the draws.

    Returns
    -------
    matplotlib.figure.Figure
        Not bound to a window; ``figure.savefig(...)`` writes it.

    Raises
    ------
    ValueError
        If no option of the augmenter is random, or `images` are no images.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from skwbc import ImageAugmenter
    >>> from skwbc.datasets import make_blood_cells
    >>> from skwbc.inspection import plot_augmentations
    >>> X, _ = make_blood_cells(1, random_state=0)
    >>> augmenter = ImageAugmenter(rotation_range=180, stain_jitter=0.1)
    >>> figure = plot_augmentations(augmenter, X)  # doctest: +SKIP
    """
    shown = clone(augmenter).set_params(**_NOT_RANDOM)
    augmented = shown.fit_transform(images)
    if not isinstance(augmented, AugmentedImages):
        raise ValueError(
            f"No option of {augmenter} is random, so every draw is the original. Set "
            "rotation_range, horizontal_flip, stain_jitter or another."
        )
    original = np.asarray(
        check_images(images, "plot_augmentations", data_format=shown.data_format)
    )
    rng = np.random.default_rng(random_state)
    rows = np.arange(len(original))
    columns: list[np.ndarray] = [original.astype(np.float32)]
    columns += [augmented.draw(rows, rng) for _ in range(n_draws)]
    low, high = pixel_range(original)
    figure = new_figure(
        figsize=(1.3 * (n_draws + 1), 1.3 * len(original) + 0.3), layout="constrained"
    )
    grid = figure.subplots(len(original), n_draws + 1, squeeze=False)
    for number, column in enumerate(columns):
        grid[0, number].set_title(
            f"draw {number}" if number else "original", fontsize=9
        )
        if shown.data_format == "channels_first":
            column = np.moveaxis(column, 1, -1)
        for axes, image in zip(grid[:, number], column, strict=True):
            axes.set_axis_off()
            show_image(axes, ((image - low) / (high - low)).clip(0, 1))
    return figure
