"""Train the initial weights of the compact network.

    python benchmarks/pretrain.py

draws cells of all five classes of ``make_blood_cells``, trains the compact
network to classify them, and writes its convolutions to ``skwbc/cnn/weights``, where
``build_compact_cnn(weights="blood_cells")`` finds them. No photograph is used. Stain,
light and size, which differ between laboratories, are varied during training. Takes
about 10 minutes on 2 cores.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from joblib import Parallel, delayed
from sklearn.pipeline import make_pipeline

import skwbc.cnn
from skwbc import CNNClassifier, ImageAugmenter, build_compact_cnn
from skwbc.cnn._pretrained import SHIPPED, save_pretrained
from skwbc.datasets import make_blood_cells

CLASSES = ("neutrophil", "eosinophil", "monocyte", "lymphocyte", "basophil")
FILE = Path(skwbc.cnn.__file__).parent / "weights" / SHIPPED["blood_cells"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1600, help="of each class")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FILE)
    arguments = parser.parse_args()
    X, y = draw(arguments.cells, 10_000 * (arguments.seed + 1))
    X_test, y_test = draw(100, 10_000 * (arguments.seed + 1) + 9_000)
    model = make_pipeline(
        ImageAugmenter(
            rescale=1 / 255,
            samplewise_center=True,
            rotation_range=180,
            width_shift_range=0.05,
            height_shift_range=0.05,
            zoom_range=(0.65, 1.5),
            shear_range=8,
            brightness_range=(0.6, 1.3),
            channel_shift_range=20,
            stain_jitter=0.2,
            horizontal_flip=True,
            fill_mode="reflect",
            random_state=arguments.seed,
        ),
        CNNClassifier(
            build_compact_cnn,
            optimizer="adamw",
            optimizer__learning_rate=2e-3,
            optimizer__weight_decay=1e-3,
            learning_rate_schedule="cosine",
            epochs=arguments.epochs,
            batch_size=32,
            random_state=arguments.seed,
            verbose=1,
        ),
    )
    start = time.perf_counter()
    model.fit(X, y)
    print(f"{len(y)} cells, {time.perf_counter() - start:.0f} s")
    print(f"accuracy on {len(y_test)} other cells: {model.score(X_test, y_test)}")
    arguments.out.parent.mkdir(exist_ok=True)
    save_pretrained(model[-1].model_, arguments.out)
    print(f"wrote {arguments.out}, {arguments.out.stat().st_size / 1e6:.2f} MB")


def draw(cells: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw cells of each class in blocks of a hundred, each with its own seed."""
    blocks = Parallel(n_jobs=-1)(
        delayed(make_blood_cells)(
            min(100, cells - start),
            classes=CLASSES,
            random_state=seed + start // 100,
        )
        for start in range(0, cells, 100)
    )
    images, labels = zip(*blocks, strict=True)
    return np.concatenate(images), np.concatenate(labels)


if __name__ == "__main__":
    main()
