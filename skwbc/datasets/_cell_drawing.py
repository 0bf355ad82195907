"""Procedural drawing of white blood cells on a stained smear.

Everything is measured in micrometres, so that cells keep their natural sizes relative
to one another whatever the zoom. Shapes deposit amounts of four stains; the amounts
become light only once, so overlapping cells darken each other as they do on glass: by
the Beer-Lambert law, with one optical density vector per stain as in [1]_.

References
----------
.. [1] A. C. Ruifrok and D. A. Johnston, "Quantification of histochemical staining
       by color deconvolution", Analytical and Quantitative Cytology and Histology,
       23(4), 291-299, 2001.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from skwbc.datasets import _smear as slide
from skwbc.datasets._smear import AZURE, EOSIN, HAEMOGLOBIN, NUCLEAR, SHAPE_BITS

# Optical density of a unit amount of each stain in red, green and blue.
_OPTICAL_DENSITY = np.array(
    [
        [0.40, 0.64, 0.19],  # nuclear: the violet azure-eosin complex on DNA
        [0.34, 0.26, 0.12],  # azure: grey blue
        [0.06, 0.32, 0.25],  # eosin: orange pink
        [0.08, 0.20, 0.21],  # haemoglobin taking up eosin: salmon
    ]
)


@dataclass(frozen=True)
class CellType:
    """Look of one class of white cells; pairs are the ends of uniform ranges."""

    diameter: tuple  # micrometres
    nucleus: Callable  # (rng, window, radius) -> uint8 mask
    chromatin: tuple  # amount of nuclear stain
    lace: tuple  # relative contrast of the chromatin texture
    azure: tuple  # cytoplasm
    eosin: tuple  # cytoplasm
    outline: float = 0.05  # relative irregularity of the contour
    vacuoles: int = 0  # at most
    granules: tuple = (0, 0)  # number per square micrometre
    granule_radius: tuple = (0.15, 0.25)  # micrometres
    granule_stains: dict = field(default_factory=dict)  # stain -> amount
    granule_strength: tuple = (0.5, 1.15)  # factor on those amounts
    over_nucleus: float = 0.0  # how strongly granules show over the nucleus


def render_cell(cell, height, width, rng):
    """Return one (height, width, 3) uint8 RGB image of a `CellType`."""
    side = min(height, width)
    smear = _open_smear(height, width, side / rng.uniform(19, 26), rng)
    radius = rng.uniform(*cell.diameter) / 2
    centre = smear.size / 2 + np.clip(rng.normal(0, 1.1, 2), -2.5, 2.5)
    _draw_surroundings(smear, [(*centre, radius)])
    _draw_white_cell(smear, cell, centre, radius)
    return _photograph(smear, height, width, side)


def render_field(cells, touching, height, width, scale, rng):
    """Return a (height, width, 3) uint8 RGB image of a field, and the boxes in it.

    Parameters
    ----------
    cells : sequence of CellType
        The white cells. One that finds no place is left out.
    touching : float
        Chance that a cell lies against the one before it.
    height, width : int
        Size in pixels.
    scale : float
        Pixels per micrometre.
    rng : Generator
        Source of randomness.

    Returns
    -------
    image : ndarray of shape (height, width, 3), uint8
    boxes : dict of int to ndarray of shape (4,), int
        (xmin, ymin, xmax, ymax) of each drawn cell, by its position in `cells`.
    """
    smear = _open_smear(height, width, scale, rng)
    whites: dict[int, tuple] = {}
    for k, cell in enumerate(cells):
        radius = rng.uniform(*cell.diameter) / 2
        for _ in range(50):
            centre = rng.uniform(0, smear.size)
            if whites and rng.random() < touching:
                x, y, other = [*whites.values()][-1]
                turn = rng.uniform(0, 2 * np.pi)
                step = np.array([np.cos(turn), np.sin(turn)]) * (radius + other)
                centre = step * rng.uniform(0.9, 1.05) + (x, y)
            inner = (centre >= 0).all() and (centre <= smear.size).all()
            if inner and _gap(whites.values(), centre) > 0.85 * radius:
                whites[k] = (*centre, radius)
                break
    area = smear.size.prod() / 22**2
    _draw_surroundings(smear, [*whites.values()], 0.7 * area)
    factor, limit = smear.scale / scale, [width, height, width, height]
    boxes = {}
    for k, (x, y, radius) in whites.items():
        box = _draw_white_cell(smear, cells[k], np.array([x, y]), radius)
        boxes[k] = np.clip(np.rint(box / factor), 0, limit)
    return _photograph(smear, height, width, 22 * scale), boxes


def _open_smear(height, width, scale, rng):
    """Return a clean slide, finer than the image; `scale` is that of the image."""
    factor = 3 if max(height, width) <= 160 else 2 if max(height, width) <= 320 else 1
    stains = np.zeros((4, height * factor, width * factor), np.float32)
    return slide.Smear(rng, stains, scale * factor)


# --- the slide and what lies between the white cells -------------------------------


def _draw_surroundings(smear, whites, n_platelets=0.7):
    # Plasma proteins stain the glass a little.
    smear.stains[[AZURE, EOSIN]] = smear.rng.uniform(0, 0.09, (2, 1, 1))
    _draw_red_cells(smear, whites)
    _draw_platelets(smear, whites, n_platelets)


def _gap(whites, centre):
    """Return the distance of a point from the edge of the nearest white cell."""
    x, y = centre
    return min((np.hypot(x - a, y - b) - r for a, b, r in whites), default=np.inf)


def _draw_red_cells(smear, whites):
    rng = smear.rng
    pallor, amount = rng.uniform(0.15, 1.0), rng.uniform(0.75, 1.4)
    spacing = rng.uniform(1.2, 2.1)  # below 2 they may overlap
    n_cells = rng.integers(3, 13) * smear.size.prod() / 22**2
    placed: list[tuple[float, ...]] = []
    for centre in rng.uniform(-3, smear.size + 3, (30 + 4 * int(n_cells), 2)):
        radius = rng.normal(3.6, 0.22)
        gap = _gap(whites, centre) - radius
        others = np.reshape(placed, (-1, 2)) - centre
        crowded = (np.hypot(*others.T) < spacing * radius).any()
        if gap < rng.uniform(-1.0, 0.3) or crowded:
            continue
        placed.append(centre)
        _draw_red_cell(smear, centre, radius, pallor, amount)
        if len(placed) >= n_cells:
            break


def _draw_red_cell(smear, centre, radius, pallor, amount):
    rng = smear.rng
    window = slide.open_window(smear, centre, radius * 1.35)
    aspect = 1 + abs(rng.normal(0, 0.13))
    if window is None:
        return
    distance = slide.blob(smear, window, radius, irregularity=0.02, aspect=aspect)
    hollow = cv2.exp(-((distance / rng.uniform(0.4, 0.65)) ** 2))
    thickness = amount * rng.uniform(0.85, 1.15) * slide.inside(distance, 0.3 / radius)
    thickness *= 1 - min(pallor * rng.uniform(0.7, 1.1), 0.95) * hollow
    smear.stains[HAEMOGLOBIN][window.area] += thickness * (0.85 + 0.15 * distance)


def _draw_platelets(smear, whites, n_platelets):
    rng = smear.rng
    for centre in rng.uniform(0, smear.size, (rng.poisson(n_platelets), 2)):
        radius = rng.uniform(0.5, 1.3)
        window = slide.open_window(smear, centre, radius * 1.6)
        if _gap(whites, centre) < radius:
            continue
        distance = slide.blob(smear, window, radius, irregularity=0.15)
        speckle = 1 + 0.4 * slide.noise(rng, window.shape, 0.25 * smear.scale)
        body = slide.inside(distance, 0.5) * speckle
        smear.stains[NUCLEAR][window.area] += body * rng.uniform(0.25, 0.6)
        smear.stains[AZURE][window.area] += body * rng.uniform(0.1, 0.4)


# --- nuclei ------------------------------------------------------------------------


def lobed_nucleus(rng, window, radius, *, counts, chances, size, spread, bridge):
    """Draw the mask of round lobes strung along an arc and joined by bridges."""
    count = rng.choice(counts, p=chances)
    lobe = radius * size * (2 / count) ** 0.45 * rng.uniform(0.85, 1.1)
    ring = radius * rng.uniform(*spread)
    # The chord between neighbours is just about two lobe radii.
    gap = 2 * np.arcsin(min(lobe * rng.uniform(0.85, 1.35) / ring, 0.97))
    steps = gap * rng.uniform(0.85, 1.15, count)
    angles = rng.uniform(0, 2 * np.pi) + np.cumsum(steps)
    rings = ring * rng.uniform(0.75, 1.15, count)
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rings[:, None]
    pull = min(0.35, 0.12 * count)  # keep an arc of few lobes near the middle
    centres += window.centre - pull * centres.mean(axis=0)
    mask = np.zeros(window.shape, np.uint8)
    for centre in centres:
        axes = lobe * rng.uniform(0.8, 1.2, 2)
        slide.draw_oval(mask, centre, axes, rng.uniform(0, 180))
    for start, stop in pairwise(slide.fixed(centres)):
        width = max(int(radius * rng.uniform(*bridge)), 1)
        cv2.line(mask, start.tolist(), stop.tolist(), 255, width, 8, SHAPE_BITS)
    return mask


def bent_nucleus(rng, window, radius):
    """Draw the mask of a thick arc: from an indented oval to a horseshoe."""
    span = rng.uniform(0.5, 1.45) * np.pi
    bend = radius * rng.uniform(0.28, 0.42)
    width = radius * rng.uniform(0.7, 1.0) * (1.25 - 0.25 * span / np.pi)
    angles = np.linspace(-span / 2, span / 2, 12)
    arc = np.stack([np.cos(angles) * rng.uniform(0.8, 1.1), np.sin(angles)], axis=1)
    arc -= arc.mean(axis=0) * rng.uniform(0.6, 1.0)
    turn = rng.uniform(0, 2 * np.pi)
    arc = arc @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    widths = width / 2 * (1 + 0.15 * np.sin(angles + rng.uniform(0, 6)))
    mask = np.zeros(window.shape, np.uint8)
    slide.draw_discs(mask, window.centre + bend * arc, widths, np.full(12, 255))
    return mask


def round_nucleus(rng, window, radius):
    """Draw the mask of an oval that nearly fills the cell."""
    mask = np.zeros(window.shape, np.uint8)
    shift = rng.normal(0, 0.06, 2) * radius
    axes = radius * rng.uniform(0.76, 0.92, 2)
    slide.draw_oval(mask, window.centre + shift, axes, rng.uniform(0, 180))
    return mask


# --- the white cell ----------------------------------------------------------------


def _draw_white_cell(smear, cell, centre, radius):
    """Draw a cell, and return its box in pixels of the smear."""
    rng = smear.rng
    window = slide.open_window(smear, centre, radius * 1.35)
    outline = cell.outline * rng.uniform(0.5, 1.3)
    aspect = 1 + abs(rng.normal(0, 0.1))
    distance = slide.blob(smear, window, radius, irregularity=outline, aspect=aspect)
    body = slide.inside(distance, 0.35 / radius)
    nucleus = _nucleus_mask(smear, cell, window, radius, distance)
    layers = _cytoplasm(smear, cell, window, radius)
    granules = _granule_mask(smear, cell, window, radius)
    texture = slide.noise(rng, window.shape, 1.1 * smear.scale, octaves=3)
    chromatin = rng.uniform(*cell.chromatin) * nucleus
    chromatin *= np.maximum(1 + rng.uniform(*cell.lace) * texture, 0.45)
    layers *= 1 - 0.75 * nucleus
    layers[NUCLEAR] += chromatin
    granules *= 1 - (1 - cell.over_nucleus) * nucleus
    strength = rng.uniform(*cell.granule_strength)
    for stain, amount in cell.granule_stains.items():
        layers[stain] += granules * amount * strength
    below = smear.stains[(slice(None), *window.area)]
    below *= 1 - 0.9 * body
    below[:3] += layers * body
    rows, columns = (part.start for part in window.area)
    x, y, width, height = cv2.boundingRect((body > 0.5).astype(np.uint8))
    return np.array([x, y, x + width, y + height]) + [columns, rows] * 2


def _nucleus_mask(smear, cell, window, radius, distance):
    """Draw the nucleus with smooth irregular edges, kept inside the cell."""
    rng = smear.rng
    pixels = radius * smear.scale
    mask = cell.nucleus(rng, window, pixels)
    rows, columns = np.indices(window.shape, dtype=np.float32)
    warp = np.float32(pixels * rng.uniform(0.02, 0.07))
    columns += warp * slide.noise(rng, window.shape, pixels * 0.5)
    rows += warp * slide.noise(rng, window.shape, pixels * 0.5)
    mask = cv2.remap(mask, columns, rows, cv2.INTER_LINEAR)
    # Blurring and then cutting at one half rounds the joints of discs and bridges.
    mask = cv2.GaussianBlur(mask, (0, 0), pixels * 0.035).astype(np.float32) / 255
    mask = np.clip((mask - 0.5) * 3 + 0.5, 0, 1)
    return mask * slide.inside(distance * 1.04, 0.4 / radius)


def _cytoplasm(smear, cell, window, radius):
    """Draw stain amounts over the window, mottled and pierced by vacuoles."""
    rng = smear.rng
    layers = np.zeros((3, *window.shape), np.float32)
    mottle = 1 + 0.18 * slide.noise(rng, window.shape, 2 * smear.scale, 3)
    layers[AZURE] = mottle * rng.uniform(*cell.azure)
    # A dense dye leaves less for the other to bind to.
    layers[EOSIN] = (2 - mottle) * rng.uniform(*cell.eosin)
    count = rng.integers(0, cell.vacuoles + 1)
    if count:
        mask = np.zeros(window.shape, np.float32)
        centres = _scatter(rng, window, radius * smear.scale, count)
        sizes = rng.uniform(0.25, 0.7, count) * smear.scale
        slide.draw_discs(mask, centres, sizes, rng.uniform(0.4, 0.9, count))
        layers *= 1 - cv2.GaussianBlur(mask, (0, 0), 0.1 * smear.scale)
    return layers


def _granule_mask(smear, cell, window, radius):
    rng = smear.rng
    mask = np.zeros(window.shape, np.float32)
    count = rng.poisson(rng.uniform(*cell.granules) * np.pi * radius**2)
    centres = _scatter(rng, window, radius * smear.scale, count)
    sizes = rng.uniform(*cell.granule_radius) * rng.uniform(0.75, 1.25, count)
    slide.draw_discs(mask, centres, sizes * smear.scale, rng.uniform(0.4, 1.2, count))
    return mask


def _scatter(rng, window, radius, count):
    """Draw points spread evenly over a disc around the centre of the window."""
    angles = rng.uniform(0, 2 * np.pi, count)
    reach = radius * np.sqrt(rng.uniform(0, 1.1, count))
    offsets = np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None]
    return window.centre + offsets


# --- the camera --------------------------------------------------------------------


def _photograph(smear, height, width, side):
    """Model the light through the stains, the optics and the sensor.

    Blur grows with `side`, about 22 micrometres in pixels of the image.
    """
    rng = smear.rng
    densities = _OPTICAL_DENSITY * rng.normal(1, 0.09, (4, 3)) * rng.normal(1, 0.12)
    # The pH of the buffer trades blue stains against red ones.
    balance = rng.normal(0, 0.14)
    densities *= np.exp(balance * np.array([[0.3], [1.0], [-1.0], [-0.6]]))
    # Not a matrix product: its last bits may depend on the number of threads.
    exponents = (-np.log(10) * densities).astype(np.float32)
    light = np.exp(np.einsum("sc,shw->chw", exponents, smear.stains))
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
    uneven = 0.015 * slide.noise(rng, (height, width), height / 3)
    return 1 + tilt[0] * x + tilt[1] * y - vignette * (x**2 + y**2) + uneven
