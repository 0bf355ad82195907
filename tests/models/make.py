"""Write the model files that test_model_files.py reads: python tests/models/make.py

Run it again only when a change has to break old files; the changelog then says why.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from joblib.numpy_pickle import NumpyUnpickler
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import (
    ColourStatistics,
    FlattenImages,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    make_cell_classifier,
    save_model,
)
from skwbc.datasets import make_blood_cells
from skwbc.export import to_onnx

FOLDER = Path(__file__).parent


def scikit_learn_members() -> KFoldEnsembleClassifier:
    """Make an ensemble of linear models behind the transformers of the package."""
    whitening = ImageAugmenter(zca_whitening=True, zca_epsilon=1e-2, rotation_range=9)
    member = make_pipeline(
        whitening, FlattenImages(), StandardScaler(), LogisticRegression(C=1e-2)
    )
    return KFoldEnsembleClassifier(member, cv=2, random_state=0)


def colours() -> KFoldEnsembleClassifier:
    """Make an ensemble of linear models on colour statistics."""
    member = make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())
    return KFoldEnsembleClassifier(member, cv=2, random_state=0)


def default_recipe() -> KFoldEnsembleClassifier:
    """Make the default recipe with a small network and random initial weights."""
    return make_cell_classifier(cv=2, epochs=2, random_state=0).set_params(
        estimator__network__cnn__model__filters=(4, 8),
        estimator__network__cnn__model__weights=None,
    )


def names_in(path: Path) -> list[str]:
    """Return the names of this package that a joblib file refers to."""
    names = set()

    class Recorder(NumpyUnpickler):
        def find_class(self, module, name):
            if module.partition(".")[0] == "skwbc":
                names.add(f"{module}.{name}")
            return super().find_class(module, name)

    with open(path, "rb") as file:
        Recorder(str(path), file, ensure_native_byte_order=True).load()
    return sorted(names)


def main() -> None:
    """Fit each model on tiny synthetic cells and write it with its probabilities."""
    # The smallest that are drawn; every second pixel keeps the article's network small.
    X, y = make_blood_cells(6, image_size=(16, 16), random_state=0)
    X = np.ascontiguousarray(X[:, ::2, ::2])
    models = {
        "scikit_learn_members": scikit_learn_members(),
        "article": make_cell_classifier("article", cv=2, epochs=1, random_state=0),
        "default_recipe": default_recipe(),
        "colours": colours(),
    }
    proba, names = {}, {}
    for name, model in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        proba[name] = model.predict_proba(X)
        if name == "colours":
            to_onnx(model, FOLDER / f"{name}.onnx")
        else:
            save_model(model, FOLDER / f"{name}.joblib")
            names[name] = names_in(FOLDER / f"{name}.joblib")
    (FOLDER / "names.json").write_text(json.dumps(names, indent=1) + "\n")
    np.savez(FOLDER / "expected.npz", X=X, **proba)


if __name__ == "__main__":
    main()
