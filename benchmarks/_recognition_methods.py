"""The methods that recognition.py compares, each around the same fold ensemble."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from _common import network_pipeline
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skwbc import (
    ColourStatistics,
    KFoldEnsembleClassifier,
    NetworkFeatures,
    make_cell_classifier,
)

# Weights that did not see all that those of the package saw, by pretrain.py.
WEIGHTS = Path(__file__).with_name("weights")
DRAWN = WEIGHTS / "drawn" / "compact_blood_cells.npz"
# Networks that do not start from weights of real cells need more than the recipe has.
UNTRAINED_EPOCHS = 60
# Size of HOG's cells in images of 100 pixels; other images are resized.
HOG_SIDE, HOG_CELL = 100, 20


class Method(NamedTuple):
    """A method of classifying cells.

    Attributes
    ----------
    title : str
        Its name in the tables.
    make : callable
        Takes the seed, and the epochs or None, and returns an unfitted ensemble.
    describe : callable or None
        Turns images into feature rows, which replace the images. It is not fitted, so
        it is called once and not in each fold.
    needs : str or None
        A module that is not a dependency of skwbc, or that imports one.
    """

    title: str
    make: Callable[[int, int | None], KFoldEnsembleClassifier]
    describe: Callable[[Any], np.ndarray] | None = None
    needs: str | None = None

    def missing(self) -> str | None:
        """Import `needs`; return the name of a missing module, if any."""
        try:
            if self.needs:
                import_module(self.needs)
        except ModuleNotFoundError as error:
            return error.name
        return None

    def prepare(self, images: Any) -> Any:
        """Return the features of images, or the images themselves."""
        if self.describe is None:
            return images
        return self.describe(images)


def article(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    return make_cell_classifier("article", epochs=epochs, random_state=seed)


def article_modern(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    ensemble = make_cell_classifier("article", epochs=epochs or 60, random_state=seed)
    return ensemble.set_params(
        cv=5,
        estimator__cnn__optimizer="adamw",
        estimator__cnn__optimizer__learning_rate=1e-3,
        estimator__cnn__optimizer__weight_decay=1e-3,
        estimator__cnn__learning_rate_schedule="cosine",
        estimator__cnn__batch_size=16,
        estimator__cnn__patience=None,
    )


def default(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    return make_cell_classifier(epochs=epochs, random_state=seed)


def features(seed: int, _: int | None) -> KFoldEnsembleClassifier:
    return make_cell_classifier("features", random_state=seed)


def random_weights(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    made = default(seed, epochs)
    return made.set_params(estimator__network__cnn__model__weights=None)


def without_colours(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    return make_cell_classifier(epochs=epochs, colours=False, random_state=seed)


def trained(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    made = default(seed, epochs)
    return made.set_params(estimator=network_pipeline(made.estimator))


def trained_drawn(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    made = trained(seed, epochs or UNTRAINED_EPOCHS)
    return made.set_params(estimator__cnn__model__weights=str(DRAWN))


def trained_random(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    made = trained(seed, epochs or UNTRAINED_EPOCHS)
    return made.set_params(estimator__cnn__model__weights=None)


def frozen_drawn(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    made = features(seed, epochs)
    return made.set_params(estimator__features__network=frozen(None))


@cache
def frozen(folder: Path | None) -> NetworkFeatures:
    """Return both networks with the weights in a folder, or that of drawn cells."""
    from skwbc.cnn import build_compact_cnn, build_residual_cnn
    from skwbc.cnn._frozen import side_by_side

    networks = [(build_compact_cnn, DRAWN)]
    if folder is not None:
        names = {"compact": build_compact_cnn, "residual": build_residual_cnn}
        networks = [
            (build, folder / f"{name}_blood_cells.npz") for name, build in names.items()
        ]
    return NetworkFeatures(
        side_by_side(networks), image_size=100, preprocessing=centred
    )


def centred(images: np.ndarray) -> np.ndarray:
    """Return what NetworkFeatures gives to the networks of the package."""
    images = images / np.float32(255)
    return images - images.mean(axis=(1, 2, 3), keepdims=True)


def start_from(ensemble: KFoldEnsembleClassifier, folder: Path) -> None:
    """Use the weights in a folder in place of those of the package."""
    changes: dict[str, Any] = {}
    for name, value in ensemble.get_params().items():
        if isinstance(value, NetworkFeatures) and value.network == "blood_cells":
            changes[name] = frozen(folder)
        elif name.endswith("__weights") and value == "blood_cells":
            changes[name] = str(folder / "compact_blood_cells.npz")
    ensemble.set_params(**changes)


def torch_twin(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    from torch_twin import TorchTwin

    ensemble = default(seed, epochs or UNTRAINED_EPOCHS)
    network = network_pipeline(ensemble.estimator)
    params = network["cnn"].get_params()
    twin = TorchTwin(
        epochs=params["epochs"],
        batch_size=params["batch_size"],
        learning_rate=params["optimizer__learning_rate"],
        weight_decay=params["optimizer__weight_decay"],
        warmup_fraction=params["warmup_fraction"],
    )
    member = Pipeline([("augmenter", network["augmenter"]), ("cnn", twin)])
    return ensemble.set_params(estimator=member)


def logistic_regression(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    member = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=5000))
    return KFoldEnsembleClassifier(member, cv=5, random_state=seed)


def described(seed: int, _: int | None) -> KFoldEnsembleClassifier:
    """Return the classifier of the recipe "features", for rows of other features."""
    made = features(seed, None)
    return made.set_params(estimator=made.estimator[1:])


def extra_trees(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    member = ExtraTreesClassifier(500)
    return KFoldEnsembleClassifier(member, cv=5, random_state=seed)


def support_vectors(seed: int, epochs: int | None) -> KFoldEnsembleClassifier:
    # A temperature does not change the predicted class. Three folds, because a class
    # may have only four images.
    member = CalibratedClassifierCV(
        SVC(C=10), method="temperature", cv=3, ensemble=False
    )
    return KFoldEnsembleClassifier(member, cv=5, random_state=seed)


def colour_statistics(images: Any) -> np.ndarray:
    """Return the colour statistics of the central cells of RGB images."""
    return ColourStatistics().fit_transform(images)


def imagenet_maps(images: Any) -> np.ndarray:
    """Return the last maps of EfficientNet-Lite0, trained on ImageNet."""
    from _imagenet import pooled_maps

    return pooled_maps(images)


def oriented_gradients(images: Any) -> np.ndarray:
    """Return histograms of oriented gradients (HOG) of RGB images."""
    return np.stack([_oriented_gradients(image) for image in images])


def _oriented_gradients(image: np.ndarray) -> np.ndarray:
    from skimage.feature import hog

    if image.shape[:2] != (HOG_SIDE, HOG_SIDE):
        image = cv2.resize(image, (HOG_SIDE, HOG_SIDE), interpolation=cv2.INTER_AREA)
    return hog(
        image,
        orientations=9,
        pixels_per_cell=(HOG_CELL, HOG_CELL),
        cells_per_block=(2, 2),
        channel_axis=-1,
    )


METHODS = {
    "article": Method("article recipe", article),
    "article-modern": Method("article network, modern optimiser", article_modern),
    "default": Method("default recipe", default),
    "random-weights": Method("default recipe, random first weights", random_weights),
    "no-colours": Method("default recipe without colours", without_colours),
    "features": Method("recipe features", features),
    "trained": Method("trained network alone, real cells", trained),
    "trained-drawn": Method("trained network alone, drawn cells", trained_drawn),
    "trained-random": Method("trained network alone, random weights", trained_random),
    "frozen-drawn": Method("frozen network, drawn cells, and colours", frozen_drawn),
    "colour-lr": Method(
        "colour statistics + logistic regression",
        logistic_regression,
        colour_statistics,
    ),
    "colour-trees": Method(
        "colour statistics + extra trees", extra_trees, colour_statistics
    ),
    "hog-svm": Method(
        "HOG + SVM", support_vectors, oriented_gradients, "skimage.feature"
    ),
    "imagenet": Method("ImageNet network", described, imagenet_maps, "_imagenet"),
    "torch": Method(
        "PyTorch twin of the compact network", torch_twin, needs="torch_twin"
    ),
}
