"""Compare the augmenter with Keras' generator for the same random parameters.

    pip install skwbc scipy
    python benchmarks/exactness.py

Prints the largest difference of any pixel of images with values of 0 to 1, noise and
synthetic cells of 100 x 100 pixels, for each geometric option and for all together. For
the fill modes "constant" and "wrap", only pixels from inside the image are compared.
Then prints the largest difference of standardised images, as a fraction of the largest
value.
"""

import warnings

import numpy as np
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from skwbc import ImageAugmenter
from skwbc.datasets import make_blood_cells

GEOMETRY = {
    "rotation_range": 180,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "shear_range": 20,
    "zoom_range": 0.3,
    "horizontal_flip": True,
    "vertical_flip": True,
}
STANDARD = {
    "featurewise_center": True,
    "featurewise_std_normalization": True,
    "samplewise_center": True,
    "samplewise_std_normalization": True,
    "zca_whitening": True,
}
FILL_MODES = ("nearest", "reflect", "constant", "wrap")


def main() -> None:
    # Keras' generator is deprecated, and warns that some options imply others.
    warnings.filterwarnings("ignore")
    cells, _ = make_blood_cells(20, random_state=0)
    noise = np.random.default_rng(0).random((60, 100, 100, 3))
    images = np.float32(np.concatenate([cells / 255, noise]))
    print(f"| option | {' | '.join(FILL_MODES)} |\n|---|{'---|' * len(FILL_MODES)}")
    options = [{name: value} for name, value in GEOMETRY.items()]
    for option in [*options, GEOMETRY]:
        name = "all together" if option is GEOMETRY else next(iter(option))
        errors = (f"{geometry(images, option, fill):.1e}" for fill in FILL_MODES)
        print(f"| {name} | {' | '.join(errors)} |", flush=True)
    print("\n| option | difference |\n|---|---|")
    small = images[:, ::10, ::10]
    for option in STANDARD:
        print(f"| {option} | {standard(small, {option: True}):.1e} |", flush=True)


def geometry(images: np.ndarray, options: dict, fill_mode: str) -> float:
    generator = ImageDataGenerator(fill_mode=fill_mode)
    augmented = ImageAugmenter(**options, fill_mode=fill_mode).fit_transform(images)
    # Pixels from beyond the border get a value that no image contains.
    outside = ImageAugmenter(**options, fill_mode="constant", cval=1e6)
    outside = outside.fit_transform(images).draw(range(len(images)), 0)
    warped = augmented.draw(range(len(images)), 0)
    drawn = augmented.draw_parameters(len(images), 0)
    worst = 0.0
    for k, image in enumerate(images):
        # In Keras' matrix x comes before y.
        parameters = {
            "theta": -drawn["rotation"][k],
            "tx": drawn["shift"][k, 1],
            "ty": drawn["shift"][k, 0],
            "shear": drawn["shear"][k],
            "zx": drawn["zoom"][k, 1],
            "zy": drawn["zoom"][k, 0],
            "flip_vertical": drawn["flip"][k, 0],
            "flip_horizontal": drawn["flip"][k, 1],
        }
        difference = np.abs(warped[k] - generator.apply_transform(image, parameters))
        if fill_mode in ("constant", "wrap"):
            difference = difference[outside[k] <= 1]
        worst = max(worst, float(difference.max()))
    return worst


def standard(images: np.ndarray, options: dict) -> float:
    generator = ImageDataGenerator(**options)
    generator.fit(images)
    expected = np.stack([generator.standardize(image.copy()) for image in images])
    actual = ImageAugmenter(**options).fit_transform(images)
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


if __name__ == "__main__":
    main()
