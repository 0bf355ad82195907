"""Precision and recall of the search for near-duplicates, on planted pairs.

    python benchmarks/duplicates.py FOLDER [--images 1500] [--planted 200]

FOLDER has one sub-folder per class. A copy of some images is turned, flipped, saved as
JPEG, darkened, or cut out otherwise, and searched among all of them. Pairs of the
folder's own count as wrong, so look at those that are printed.
"""

import argparse
import time

import cv2
import numpy as np

from skwbc.datasets import load_image_folder
from skwbc.inspection import find_near_duplicates

MARGIN, SIDE = 6, 120


def cut(image, down=0, right=0):
    """Cut out the middle, or a place beside it."""
    stop = SIDE - MARGIN
    return image[MARGIN + down : stop + down, MARGIN + right : stop + right]


def as_jpeg(image, rng):
    code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    return cv2.imdecode(code, cv2.IMREAD_COLOR)


CHANGES = {
    "turned": lambda image, rng: np.rot90(cut(image), rng.integers(1, 4)),
    "flipped": lambda image, rng: cut(image)[:, ::-1],
    "JPEG": lambda image, rng: as_jpeg(np.ascontiguousarray(cut(image)), rng),
    "darker": lambda image, rng: (cut(image) * rng.uniform(0.7, 0.9)).astype(np.uint8),
    "cut otherwise": lambda image, rng: cut(image, *rng.integers(-MARGIN, MARGIN, 2)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--planted", type=int, default=200)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    cells = load_image_folder(arguments.folder, image_size=(SIDE, SIDE), lazy=True)
    chosen = rng.permutation(len(cells.images))[: arguments.images]
    images = np.asarray(cells.images[chosen])
    kinds = [*CHANGES]
    planted = {
        (k, len(images) + k): kinds[k % len(kinds)] for k in range(arguments.planted)
    }
    copies = [CHANGES[kind](images[first], rng) for (first, _), kind in planted.items()]
    X = np.concatenate([[cut(image) for image in images], copies])
    names = [*cells.images[chosen].filenames, *map(str, planted)]
    start = time.perf_counter()
    pairs = find_near_duplicates(X, names=names)
    seconds = time.perf_counter() - start
    found = {(pair["first"], pair["second"]) for pair in pairs}
    right = found & planted.keys()
    print(f"{len(X)} images, {seconds:.1f} s")
    print(
        f"precision {len(right) / len(found):.3f}, "
        f"recall {len(right) / len(planted):.3f}"
    )
    for kind in kinds:
        of_kind = [pair for pair, each in planted.items() if each == kind]
        print(f"  {kind}: {sum(pair in found for pair in of_kind)} of {len(of_kind)}")
    for pair in pairs:
        if (pair["first"], pair["second"]) not in planted:
            first, second = (str(name)[:80] for name in pair["images"])
            print(f"not planted: {first} {second} {pair['similarity']:.3f}")


if __name__ == "__main__":
    main()
