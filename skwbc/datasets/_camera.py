"""What a camera above the microscope makes of the stains on a smear.

Amounts of stain become light by the Beer-Lambert law with one optical density vector a
stain, as in the colour model of [1]_.

References
----------
.. [1] A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining
       by color deconvolution", Analytical and Quantitative Cytology and Histology,
       23(4), 291-299, 2001.
"""

import cv2
import numpy as np

from skwbc.datasets._smear import noise

# Optical density of a unit amount of each stain in red, green and blue.
_OPTICAL_DENSITY = np.array(
    [
        [0.40, 0.64, 0.19],  # nuclear: the violet azure-eosin complex on DNA
        [0.34, 0.26, 0.12],  # azure: grey blue
        [0.06, 0.32, 0.25],  # eosin: orange pink
        [0.08, 0.20, 0.21],  # haemoglobin taking up eosin: salmon
    ]
)


def photograph(smear, height, width):
    """Light through the stains, optics, sensor."""
    rng = smear.rng
    densities = _OPTICAL_DENSITY * rng.normal(1, 0.09, (4, 3)) * rng.normal(1, 0.12)
    # The pH of the buffer trades blue stains against red ones.
    balance = rng.normal(0, 0.14)
    densities *= np.exp(balance * np.array([[0.3], [1.0], [-1.0], [-0.6]]))
    # Not a matrix product: its last bits may depend on the number of threads.
    exponents = (-np.log(10) * densities).astype(np.float32)
    light = np.exp(np.einsum("sc,shw->chw", exponents, smear.stains))
    side = min(height, width)
    # Lenses focus every colour at its own depth.
    blurs = side / 100 * (rng.gamma(3.0, 0.25) * rng.uniform(0.8, 1.2, 3) + 0.3)
    image = np.empty((height, width, 3), np.float32)
    for i, blur in enumerate(blurs):
        channel = cv2.resize(light[i], (width, height), interpolation=cv2.INTER_AREA)
        image[..., i] = cv2.GaussianBlur(channel, (0, 0), blur)
    image *= _illumination(rng, height, width)[..., None]
    image *= (rng.uniform(0.76, 0.96) * rng.normal(1, 0.03, 3)).astype("f4")
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    grain *= rng.uniform(0.005, 0.02)
    image += grain * np.sqrt(np.maximum(image, 0))
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def _illumination(rng, height, width):
    """Make a slow gradient, some vignetting and unevenness of the glass."""
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    tilt = rng.normal(0, 0.035, 2).astype(np.float32)
    vignette = rng.uniform(0, 0.05)
    uneven = 0.015 * noise(rng, (height, width), height / 3)
    return 1 + tilt[0] * x + tilt[1] * y - vignette * (x**2 + y**2) + uneven
