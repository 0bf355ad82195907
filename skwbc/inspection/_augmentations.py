"""Plot of random augmentations."""

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skwbc._utils.sklearn_compat import Interval, validated
from skwbc.augmentation import AugmentedImages, ImageAugmenter
from skwbc.augmentation._images import check_images, pixel_range
from skwbc.augmentation._standardise import Standardisation
from skwbc.inspection._plots import POSITIVE, new_grid, show_image
from skwbc.inspection._samples import scale_pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@validated(
    augmenter=[ImageAugmenter],
    X=["array-like"],
    n_draws=POSITIVE,
    random_state=[Interval(Integral, 0, None, closed="left")],
)
def plot_augmentations(
    augmenter: ImageAugmenter,
    X: Any,
    *,
    n_draws: int = 6,
    random_state: int = 0,
    **kwargs: Any,
) -> "Figure":
    """Plot images and the augmented images that a network is trained on.

    Each row shows one image, first the original. Only the random options are applied:
    `preprocessing_function`, rescaling, centring and whitening are the same in every
    draw and would make the images hard to recognise.

    Parameters
    ----------
    augmenter : ImageAugmenter
        A fitted or unfitted augmenter, which is not changed. The one of a recipe is
        ``make_cell_classifier().estimator["augmenter"]``.
    X : array-like of shape (n_samples, height, width, channels)
        A few images; of shape (n_samples, channels, height, width) if the augmenter has
        ``data_format="channels_first"``. Unless they are greyscale or RGB, the mean
        over the channels is shown.
    n_draws : int, default=6
        Number of augmented images per image.
    random_state : int, default=0
        Seed of the draws.
    **kwargs : dict
        Keyword arguments passed to matplotlib's `imshow` for each image.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, not managed by pyplot; ``figure.savefig(...)`` writes it.

    Raises
    ------
    ValueError
        If no option of the augmenter is random, or `X` does not hold images.
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
    augmented = clone(augmenter).fit_transform(X)
    if not isinstance(augmented, AugmentedImages):
        raise ValueError(
            f"No option of {augmenter} is random, so every draw equals the original. "
            "Set a random option such as rotation_range, horizontal_flip or "
            "stain_jitter."
        )
    augmented._plan.standardisation = Standardisation()  # Only what is random.
    data_format = augmenter.data_format
    images = check_images(X, "plot_augmentations", data_format=data_format)
    original, rng = np.asarray(images), np.random.default_rng(random_state)
    rows = np.arange(len(original))
    columns = {"original": original.astype(np.float32)}
    for draw in range(1, n_draws + 1):
        columns[f"draw {draw}"] = augmented.draw(rows, rng)
    value_range = pixel_range(original)
    size = (1.3 * (n_draws + 1), 1.3 * len(original) + 0.3)
    figure, grid = new_grid(len(original), n_draws + 1, figsize=size)
    for axes_of_column, (title, images) in zip(grid.T, columns.items(), strict=True):
        axes_of_column[0].set_title(title, fontsize=9)
        if data_format == "channels_first":
            images = np.moveaxis(images, 1, -1)
        scaled = scale_pixels(images, value_range)
        for axes, image in zip(axes_of_column, scaled, strict=True):
            show_image(axes, image, **kwargs)
    return figure
