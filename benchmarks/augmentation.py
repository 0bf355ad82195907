"""Time augmentation in images per second, against Keras, SciPy and albumentations.

    pip install skwbc scipy pillow albumentations==2.0.8
    python benchmarks/augmentation.py

Prints a Markdown table for each of two sets of options: images per second, and the
ratio to Keras' retired generator. All contestants turn the same uint8 images into
standardised float32 batches of 32, and run in turn for several rounds; a cell has the
median of the rounds and, in brackets, the best. Finally prints which goals are met.

Keras' generator needs SciPy and Pillow. albumentations is optional; 2.0.8 is its last
version under the MIT licence. It is best installed in a separate environment.
"""

import argparse
import functools
import math
import os
import platform
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Otherwise it checks for a newer version online when it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import cv2
import keras
import numpy as np
import scipy
import tensorflow as tf
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from scipy.ndimage import affine_transform

from skwbc import ImageAugmenter

try:
    import albumentations
except ImportError:
    albumentations = None

ARTICLE = {
    "rotation_range": 180, "horizontal_flip": True, "fill_mode": "nearest",
    "rescale": 1 / 255, "samplewise_center": True,
}  # fmt: skip
ALL = ARTICLE | {
    "width_shift_range": 0.1, "height_shift_range": 0.1, "shear_range": 10,
    "zoom_range": 0.1, "vertical_flip": True, "channel_shift_range": 20,
    "brightness_range": (0.9, 1.1), "samplewise_std_normalization": True,
}  # fmt: skip
IMAGES, BATCH = 256, 32
# Minimum duration of a measurement in seconds.
LEAST = 0.25
SKWBC, THREADS, BASELINE = "skwbc", "skwbc, 2 threads", "Keras' generator"

# Takes a number of passes over the images, and yields the batches of these passes.
Contestant = Callable[[int], Iterator[np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[28, 100, 224])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    # Keras' generator is deprecated, and so is what it calls in SciPy.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    modules = [np, cv2, keras, tf, scipy, *([albumentations] if albumentations else [])]
    versions = ", ".join(f"{each.__name__} {each.__version__}" for each in modules)
    print(f"{platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"Python {platform.python_version()}, {versions}", flush=True)
    rates = {}
    for title, options in (("article", ARTICLE), ("all", ALL)):
        for side in arguments.sides:
            rates[title, side] = measure(options, side, arguments.rounds)
        print_table(title, {side: rates[title, side] for side in arguments.sides})
    print(
        "\nKeras' layers use all cores, and so may OpenCV for large images. "
        "albumentations rounds\nto uint8 after each step, Keras' generator after "
        "brightness.\n"
    )
    print_targets(rates)


def measure(options: dict, side: int, rounds: int) -> dict[str, np.ndarray]:
    """Return images per second of each contestant, one value per round."""
    shape = (IMAGES, side, side, 3)
    X = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    contestants = {name: make(X, options) for name, make in CONTESTANTS.items()}
    passes = {name: warm_up(run, options) for name, run in contestants.items()}
    rates = {name: np.empty(rounds) for name in contestants}
    for number in range(rounds):
        for name, run in contestants.items():
            rates[name][number] = IMAGES * passes[name] / seconds(run, passes[name])
    return rates


def warm_up(run: Contestant, options: dict) -> int:
    """Check a contestant's batches; return how many passes last long enough."""
    for batch in run(1):
        assert (batch.dtype, len(batch)) == (np.float32, BATCH)
        assert np.abs(batch.mean(axis=(1, 2, 3))).max() < 1e-3
        standard = np.abs(batch.std(axis=(1, 2, 3)) - 1).max() < 1e-3
        assert standard == (options is ALL)
    passes = 1
    while seconds(run, passes) < LEAST:
        passes *= 2
    return passes


def seconds(run: Contestant, passes: int) -> float:
    start = time.perf_counter()
    for _ in run(passes):
        pass
    return time.perf_counter() - start


def batches(passes: int) -> Iterator[np.ndarray]:
    """Yield the rows of each batch, shuffled anew in each pass."""
    rng = np.random.default_rng(0)
    for _ in range(passes):
        yield from rng.permutation(IMAGES).reshape(-1, BATCH)


def skwbc(X: np.ndarray, options: dict) -> Contestant:
    augmented = ImageAugmenter(**options, random_state=0).fit_transform(X)
    rng = np.random.default_rng(0)
    return lambda passes: (augmented.draw(rows, rng) for rows in batches(passes))


def skwbc_threads(X: np.ndarray, options: dict) -> Contestant:
    augmented = ImageAugmenter(**options, random_state=0).fit_transform(X)
    pool = ThreadPoolExecutor(2)

    def draw(share: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        for rows in share:
            batch = augmented.draw(rows, rng)
        return batch

    # Returns the last batch of each thread, for the check.
    def run(passes: int) -> Iterator[np.ndarray]:
        every = list(batches(passes))
        rngs = np.random.default_rng(0).spawn(2)
        return pool.map(draw, [every[::2], every[1::2]], rngs)

    return run


def keras_generator(X: np.ndarray, options: dict) -> Contestant:
    flow = ImageDataGenerator(**options).flow(X, batch_size=BATCH)
    return lambda passes: (next(flow) for _ in range(passes * IMAGES // BATCH))


def keras_layers(X: np.ndarray, options: dict) -> Contestant:
    """Use the closest Keras layers, in tf.data: it is faster than a loop."""
    how = {"fill_mode": "nearest", "interpolation": "bilinear"}
    random_flip = keras.layers.RandomFlip
    layers = [random_flip("horizontal"), keras.layers.RandomRotation(0.5, **how)]
    if options is ALL:
        layers += [
            random_flip("vertical"),
            keras.layers.RandomTranslation(0.1, 0.1, **how),
            keras.layers.RandomShear(math.tan(math.radians(10)), **how),
            keras.layers.RandomZoom(0.1, 0.1, **how),
            # Adds the same value to all channels.
            keras.layers.RandomBrightness(20 / 255),
        ]
    model = keras.Sequential(layers)

    @tf.function
    def augment(images):
        images = model(images, training=True)
        if options is ALL:
            # No Keras layer multiplies by a factor.
            factors = tf.random.uniform((BATCH, 1, 1, 1), *options["brightness_range"])
            images = tf.minimum(images * factors, 255.0)
        images *= options["rescale"]
        images -= tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
        if options is ALL:
            images /= tf.math.reduce_std(images, axis=(1, 2, 3), keepdims=True) + 1e-6
        return images

    # Finite; otherwise it would prefetch while the others are timed.
    @functools.cache
    def dataset(passes: int) -> tf.data.Dataset:
        source = tf.data.Dataset.from_tensor_slices(X).shuffle(IMAGES).repeat(passes)
        source = source.batch(BATCH, drop_remainder=True)
        return source.map(augment, tf.data.AUTOTUNE).prefetch(2)

    return lambda passes: dataset(passes).as_numpy_iterator()


def scipy_ndimage(X: np.ndarray, options: dict) -> Contestant:
    """Compose one matrix per image, and transform its channels one by one."""
    rng = np.random.default_rng(0)
    size = np.array(X.shape[1:3])
    centre = (size - 1) / 2
    ranges = defaultdict(float, options)
    shift = np.array([ranges["height_shift_range"], ranges["width_shift_range"]]) * size
    flip = np.array([ranges["vertical_flip"], ranges["horizontal_flip"]], bool)
    zoom = ranges["zoom_range"]

    def augment(image: np.ndarray, out: np.ndarray) -> None:
        angle = math.radians(rng.uniform(-1, 1) * ranges["rotation_range"])
        shear = math.radians(rng.uniform(-1, 1) * ranges["shear_range"])
        sin, cos = math.sin(angle), math.cos(angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        scale = rng.uniform(1 - zoom, 1 + zoom, 2)
        scale[(rng.random(2) < 0.5) & flip] *= -1
        linear = turn @ [[1, -math.sin(shear)], [0, math.cos(shear)]] * scale
        offset = turn @ (rng.uniform(-1, 1, 2) * shift) + centre - linear @ centre
        for channel in range(3):
            affine_transform(
                image[..., channel], linear, offset, output=out[..., channel],
                order=1, mode="nearest",
            )  # fmt: skip
        if options is ALL:
            low, high = out.min(), out.max()
            out += rng.uniform(-1, 1) * options["channel_shift_range"]
            np.clip(out, low, high, out=out)
            out *= rng.uniform(*options["brightness_range"])
            np.minimum(out, 255, out=out)

    return image_by_image(X, options, augment)


def albumentations_compose(X: np.ndarray, options: dict) -> Contestant:
    how = {"border_mode": cv2.BORDER_REPLICATE, "rotate": (-180, 180), "p": 1}
    steps = [albumentations.HorizontalFlip(p=0.5)]
    if options is ALL:
        how["translate_percent"] = {"x": (-0.1, 0.1), "y": (-0.1, 0.1)}
        how["shear"] = {"x": (-10, 10), "y": 0}
        how["scale"] = {"x": (0.9, 1.1), "y": (0.9, 1.1)}
        # Contrast multiplies here, and brightness adds to all channels.
        steps.append(albumentations.RandomBrightnessContrast(20 / 255, 0.1, p=1))
        steps.append(albumentations.VerticalFlip(p=0.5))
    steps.insert(0, albumentations.Affine(**how))
    compose = albumentations.Compose(steps, seed=0)

    def augment(image: np.ndarray, out: np.ndarray) -> None:
        out[...] = compose(image=image)["image"]

    return image_by_image(X, options, augment)


def image_by_image(X: np.ndarray, options: dict, augment: Callable) -> Contestant:
    """Augment, then standardise, image by image."""

    def run(passes: int) -> Iterator[np.ndarray]:
        for rows in batches(passes):
            batch = np.empty((BATCH, *X.shape[1:]), np.float32)
            for row, out in zip(rows, batch, strict=True):
                augment(X[row], out)
                out *= options["rescale"]
                out -= out.mean()
                if options is ALL:
                    out /= out.std() + 1e-6
            yield batch

    return run


CONTESTANTS = {
    SKWBC: skwbc,
    THREADS: skwbc_threads,
    BASELINE: keras_generator,
    "Keras' layers": keras_layers,
    "scipy.ndimage": scipy_ndimage,
}
if albumentations:
    CONTESTANTS["albumentations"] = albumentations_compose


def print_table(title: str, rates: dict[int, dict[str, np.ndarray]]) -> None:
    heads = "".join(f" {side} px, images/s | × Keras |" for side in rates)
    print(f"\nOptions: {title}\n\n| |{heads}\n|---|{'---|---|' * len(rates)}")
    for name in CONTESTANTS:
        cells = [
            f"{np.median(at[name]):,.0f} ({at[name].max():,.0f}) | "
            f"{ratio(at, name, BASELINE):.1f}"
            for at in rates.values()
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    if not albumentations:
        print(f"| albumentations | not installed |{' |' * (2 * len(rates) - 1)}")
    print(end="", flush=True)


def print_targets(rates: dict[tuple[str, int], dict[str, np.ndarray]]) -> None:
    verdicts = {True: "met", False: "NOT met"}
    if ("article", 100) in rates:
        speedup = ratio(rates["article", 100], SKWBC, BASELINE)
        target = ">= 15 × Keras' generator at 100 px with the article's options"
        print(f"{verdicts[speedup >= 15]}: {target}: {speedup:.1f} ×")
    leads = {
        f"{peer} ({title}, {side} px)": ratio(at, SKWBC, peer)
        for (title, side), at in rates.items()
        for peer in set(at) - {SKWBC, THREADS}
    }
    least = min(leads, key=leads.get)
    target = "faster than every peer in the tables"
    print(f"{verdicts[leads[least] > 1]}: {target}: {leads[least]:.2f} × {least}")
    for (title, side), at in rates.items():
        gain = ratio(at, THREADS, SKWBC)
        print(
            f"{verdicts[gain > 1]}: a second thread helps: {gain:.2f} × ({title}, "
            f"{side} px)"
        )


def ratio(rates: dict[str, np.ndarray], name: str, other: str) -> float:
    """Return the median ratio within rounds; the load changes between rounds."""
    return float(np.median(rates[name] / rates[other]))


if __name__ == "__main__":
    main()
