"""
What augmentation does to a cell
================================

A cell has no top. Turned, mirrored or stained a little longer it is the same cell, and
a network that has seen only 30 of a class has to be told. Here is what each option of
:class:`~skwbc.ImageAugmenter` makes of the same three cells, which is the way to find
out whether an option goes too far.
"""

# %%
# Turned and mirrored
# -------------------
#
# These two are what the article does. They invent nothing but the corners: what comes
# in from beyond the border is `fill_mode`, here the nearest pixel, which draws streaks.

from skwbc import ImageAugmenter
from skwbc.datasets import make_blood_cells
from skwbc.inspection import plot_augmentations

X, y = make_blood_cells(1, image_size=(64, 64), random_state=3)

# sphinx_gallery_thumbnail_number = 2
turned = ImageAugmenter(rotation_range=180, horizontal_flip=True, fill_mode="nearest")
plot_augmentations(turned, X)

# %%
# Shifted, zoomed and sheared
# ---------------------------
#
# The border is mirrored here, which looks like a smear that goes on, and streaks of the
# nearest pixel do not. All of it is one interpolation of the image, however many
# options are set, so nothing gets blurred twice.

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
# Stained otherwise
# -----------------
#
# `stain_jitter` changes how much haematoxylin and how much eosin there is, as from one
# laboratory or one day to the next. Nothing moves and nothing is lost: only the tones
# differ.

stained = ImageAugmenter(stain_jitter=(0.3, 0.02))
plot_augmentations(stained, X)

# %%
# Too much of it
# --------------
#
# An option goes too far when a person could no longer name the cell. A channel shift of
# 80 and a brightness from 0.3 to 1.7 make images that no microscope makes, and take
# away the colour by which an eosinophil is known; the zoom cuts off the cell, or leaves
# little of it.

too_much = ImageAugmenter(
    channel_shift_range=80, brightness_range=(0.3, 1.7), zoom_range=(0.4, 1.8)
)
plot_augmentations(too_much, X)

# %%
# Two faces
# ---------
#
# While a pipeline is fitted, ``fit_transform`` returns :class:`~skwbc.AugmentedImages`:
# the untouched images, of which the network draws a batch whenever it needs one. No two
# epochs see the same. ``transform``, which is what happens to images to predict, only
# standardises.

import numpy as np

augmenter = ImageAugmenter(rescale=1 / 255, rotation_range=180)
training = augmenter.fit_transform(X)
rng = np.random.default_rng(0)
first, second = training.draw([0, 1], rng), training.draw([0, 1], rng)
print(
    f"{type(training).__name__}, two draws are equal: {np.array_equal(first, second)}"
)

to_predict = augmenter.transform(X)
again = augmenter.transform(X)
print(f"to predict, two are equal: {np.array_equal(to_predict, again)}")
