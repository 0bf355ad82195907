"""
What augmentation does to a cell
================================

Cells have no upright orientation. A cell that is rotated, mirrored or stained a little
longer is still the same cell, and a network that is trained on only 30 cells per class
has to learn that. This page shows the effect of each option of
:class:`~skwbc.ImageAugmenter` on the same three cells, which is how to find
out whether an option goes too far.
"""

# %%
# Rotation and reflection
# -----------------------
#
# The article uses these two. Only the corners are invented: `fill_mode`
# determines the pixels beyond the border, here the nearest pixel, which causes streaks.

from skwbc import ImageAugmenter
from skwbc.datasets import make_blood_cells
from skwbc.inspection import plot_augmentations

X, y = make_blood_cells(1, image_size=(64, 64), random_state=3)

# sphinx_gallery_thumbnail_number = 2
turned = ImageAugmenter(rotation_range=180, horizontal_flip=True, fill_mode="nearest")
plot_augmentations(turned, X)

# %%
# Shift, zoom and shear
# ---------------------
#
# The border is reflected here, which looks like a continuous smear, unlike the streaks
# of the nearest pixel. All options together need only one interpolation of the image,
# so nothing is blurred twice.

moved = ImageAugmenter(
    rotation_range=180,
    width_shift_range=0.1,
    height_shift_range=0.1,
    zoom_range=0.2,
    shear_range=10,
    horizontal_flip=True,
    fill_mode="reflect",
)
plot_augmentations(moved, X)

# %%
# Stain variation
# ---------------
#
# `stain_jitter` varies the amounts of haematoxylin and eosin, as between
# laboratories or days. Nothing moves and nothing is lost: only the colours
# change.

stained = ImageAugmenter(stain_jitter=(0.3, 0.02))
plot_augmentations(stained, X)

# %%
# Too much augmentation
# ---------------------
#
# An option goes too far when a person can no longer name the cell. A channel shift of
# 80 and a brightness from 0.3 to 1.7 give images that no microscope produces, and
# remove the colour that identifies an eosinophil; the zoom crops the cell, or shrinks
# it too much.

too_much = ImageAugmenter(
    channel_shift_range=80, brightness_range=(0.3, 1.7), zoom_range=(0.4, 1.8)
)
plot_augmentations(too_much, X)

# %%
# Training and prediction
# -----------------------
#
# While a pipeline is fitted, ``fit_transform`` returns :class:`~skwbc.AugmentedImages`:
# the untouched images, from which the network draws an augmented batch whenever it
# needs one. No two epochs use the same images. ``transform``, which is applied to new
# images, only standardises.

import numpy as np

augmenter = ImageAugmenter(rescale=1 / 255, rotation_range=180)
training = augmenter.fit_transform(X)
rng = np.random.default_rng(0)
first, second = training.draw([0, 1], rng), training.draw([0, 1], rng)
print(
    f"{type(training).__name__}: two draws are equal: {np.array_equal(first, second)}"
)

to_predict = augmenter.transform(X)
again = augmenter.transform(X)
print(f"transform: two results are equal: {np.array_equal(to_predict, again)}")
