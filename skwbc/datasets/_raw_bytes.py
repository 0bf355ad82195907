"""Images that stand in a file one after the other, without a header."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skwbc.datasets._checks import check_sides


def read_raw(
    path: Path, image_shape: Sequence[int], layout: str = "planar"
) -> tuple[np.ndarray, list[str]]:
    """Read images, and say where each comes from; as ``load_raw_images`` describes.

    Returns
    -------
    images : ndarray of shape (n_samples, height, width, channels), uint8
    names : list of str
    """
    height, width, channels = check_sides(
        image_shape, "image_shape", ("height", "width", "channels")
    )
    values = np.fromfile(path, np.uint8)
    size = height * width * channels
    if not len(values) or len(values) % size:
        raise ValueError(
            f"{path} has {len(values)} bytes, which is no whole number of images of "
            f"shape {(height, width, channels)} ({size} bytes each): "
            f"{len(values) / size:.2f}. Check the file, and the size of its images "
            "(image_shape; --image-size of skwbc train)."
        )
    if layout == "planar":
        images = values.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    else:
        images = values.reshape(-1, height, width, channels)
    one = len(images) == 1
    names = [str(path) if one else f"{path}[{k}]" for k in range(len(images))]
    # Networks and warps want the channels of a pixel side by side.
    return np.ascontiguousarray(images), names
