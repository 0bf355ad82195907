"""Training, prediction and Grad-CAM on Keras' other backends."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

CODE = """
import sys
import joblib, keras, numpy as np
from sklearn.base import clone
from skwbc import make_cell_classifier
from skwbc.datasets import make_blood_cells
from skwbc.inspection import grad_cam

assert keras.backend.backend() == sys.argv[1]
X, y = make_blood_cells(8, image_size=(16, 16), random_state=0)
clf = make_cell_classifier(cv=2, epochs=9, random_state=0)
clf.set_params(
    estimator__network__cnn__batch_size=4,
    estimator__network__cnn__model__filters=(8, 16),
    estimator__network__cnn__model__weights=None,
    estimator__network__cnn__metrics=["AUC"],
).fit(X, y)
proba = clf.predict_proba(X)
np.testing.assert_allclose(clf.predict_proba(X[:3]), proba[:3], atol=1e-5)
assert grad_cam(clf, X[:3]).max(axis=(1, 2)).tolist() == [1, 1, 1]
network = clf.estimators_[0].named_estimators_["network"]
losses = network["cnn"].history_["val_loss"]
assert len(losses) == 9 and losses[-1] < losses[0]
assert {"auc", "val_auc"} < set(network["cnn"].history_)
robust = keras.losses.CategoricalGeneralizedCrossEntropy()
cnn = clone(network["cnn"]).set_params(loss=robust, metrics="accuracy", epochs=1)
assert cnn.fit(X / 255, y).history_["loss"][0] < 1
joblib.dump(clf, "clf.joblib")
np.testing.assert_array_equal(joblib.load("clf.joblib").predict_proba(X), proba)
clf.set_params(n_jobs=-1).fit(X, y)
np.save("proba.npy", clf.predict_proba(X) - proba)
"""


@pytest.mark.backend
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_train_predict_and_store(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    subprocess.run(
        [sys.executable, "-c", CODE, backend],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    # Equal seeds give equal networks on these backends, too, in any number of threads.
    assert np.abs(np.load(tmp_path / "proba.npy")).max() < 1e-6
