"""Models in files, read by other processes and other versions."""

import subprocess
import sys
import textwrap
import warnings

import joblib
import keras
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skwbc
from skwbc import (
    CNNClassifier,
    ColourStatistics,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    SoftVotingClassifier,
    load_model,
    save_model,
)
from skwbc._utils import versions

BUILDER = """
import keras

def build(meta, width=4):
    layers = [
        keras.layers.Input(meta["image_shape_"]),
        keras.layers.Conv2D(width, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(meta["n_classes_"], activation="softmax"),
    ]
    return keras.Sequential(layers)
"""


def augmenter():
    return ImageAugmenter(featurewise_center=True, rotation_range=90, random_state=0)


def cnn(model="my_networks:build", **params):
    return CNNClassifier(model, epochs=2, batch_size=8, random_state=0, **params)


def colours():
    return make_pipeline(ColourStatistics(), StandardScaler(), LogisticRegression())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a module that builds networks."""
    path = tmp_path_factory.mktemp("models")
    (path / "my_networks.py").write_text(BUILDER)
    return path


@pytest.fixture(scope="module")
def fitted(folder, X, y):
    """Fitted estimators that can be written, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        import my_networks

        voters = [
            ("network", make_pipeline(augmenter(), cnn(model__width=3))),
            ("colours", colours()),
        ]
        unfitted = {
            "augmenter": ImageAugmenter(featurewise_center=True, zca_whitening=True),
            "cnn": cnn(),
            "by_reference": cnn(my_networks.build),
            "pipeline": make_pipeline(augmenter(), cnn()),
            "ensemble": KFoldEnsembleClassifier(
                SoftVotingClassifier(voters), cv=2, random_state=0
            ),
        }
        return {name: each.fit(X, y) for name, each in unfitted.items()}


def output(model, X):
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    return np.asarray(model.transform(X))


def test_a_fresh_process_computes_the_same(fitted, folder, X, y):
    """From plain, compressed and mapped files, and with a clone that is fitted anew."""
    for name, model in fitted.items():
        joblib.dump(model, folder / f"{name}.plain")
        joblib.dump(model, folder / f"{name}.compressed", compress=("lzma", 3))
    np.savez(folder / "data.npz", X=X, y=y)
    code = """
        import sys
        import joblib, numpy as np
        from sklearn.base import clone
        data = np.load("data.npz")
        X, y = data["X"], data["y"]
        outputs = {}
        for name in sys.argv[1:]:
            ways = {
                "plain": joblib.load(name + ".plain"),
                "compressed": joblib.load(name + ".compressed"),
                "mapped": joblib.load(name + ".plain", mmap_mode="r"),
            }
            ways["again"] = clone(ways["mapped"]).fit(X, y)
            for way, model in ways.items():
                if hasattr(model, "predict_proba"):
                    outputs[name + "-" + way] = model.predict_proba(X)
                else:
                    outputs[name + "-" + way] = np.asarray(model.transform(X))
        np.savez("outputs.npz", **outputs)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    subprocess.run([*command, *fitted], cwd=folder, check=True)
    outputs = np.load(folder / "outputs.npz")
    assert len(outputs) == 4 * len(fitted)
    for name, model in fitted.items():
        expected = output(model, X)
        for way in ("plain", "compressed", "mapped", "again"):
            assert_array_equal(outputs[f"{name}-{way}"], expected, f"{name}, {way}")


def test_predicts_where_the_builder_is_missing(fitted, X, y, tmp_path, monkeypatch):
    joblib.dump(fitted["cnn"], tmp_path / "c.joblib")
    monkeypatch.delitem(sys.modules, "my_networks")
    loaded = joblib.load(tmp_path / "c.joblib")
    assert_array_equal(loaded.predict_proba(X), fitted["cnn"].predict_proba(X))
    with pytest.raises(ValueError, match="model='my_networks:build'; expected the imp"):
        clone(loaded).fit(X, y)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "compact",
            "model='compact'; expected the import path of a function",
        ),
        ("skwbc:", "expected the import path of a function|is a module"),
        ("os:nothing", "no attribute 'nothing'"),
        ("skwbc:__version__", "is a str; expected the import path"),
        ("no such:thing", "expected the import path"),
    ],
)
def test_wrong_builders(model, message, X, y):
    with pytest.raises(ValueError, match=message):
        cnn(model).fit(X, y)


@pytest.fixture
def written_elsewhere(fitted, tmp_path, monkeypatch):
    """A file as other versions of all packages would have written it."""
    with monkeypatch.context() as patch:
        for package in (skwbc, sklearn, keras, sys.modules["tensorflow"]):
            patch.setattr(package, "__version__", "0.0.7")
        patch.setattr(sklearn.base, "__version__", "0.0.7")
        save_model(fitted["ensemble"], tmp_path / "m.joblib")
    return tmp_path / "m.joblib"


def test_other_versions_give_one_warning(written_elsewhere, fitted, X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load_model(written_elsewhere)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    message = str(caught[0].message)
    assert message.startswith(f"{written_elsewhere}: The model was written with ")
    for name, here in {
        "skwbc": skwbc.__version__,
        "scikit-learn": sklearn.__version__,
        "keras": keras.__version__,
        "tensorflow": sys.modules["tensorflow"].__version__,
    }.items():
        assert f"{name} 0.0.7 (here {here})" in message
    assert_array_equal(output(loaded, X), output(fitted["ensemble"], X))
    # With joblib alone, estimators of scikit-learn issue their own warnings as well.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        joblib.load(written_elsewhere)
    assert sum(w.category is versions.OtherVersionsWarning for w in caught) == 1


def test_the_same_versions_give_no_warning(fitted, tmp_path):
    for name in ("augmenter", "ensemble"):
        joblib.dump(fitted[name], tmp_path / "m.joblib")
        joblib.load(tmp_path / "m.joblib")  # Warnings are errors.


def test_workers_read_fitted_estimators():
    """Even if the process that sends them has not imported ``skwbc.persistence``."""
    code = """
        from joblib import Parallel, delayed
        from sklearn.dummy import DummyClassifier
        from skwbc import KFoldEnsembleClassifier
        ensemble = KFoldEnsembleClassifier(DummyClassifier(), cv=2)
        ensemble.fit([[0]] * 4, [0, 0, 1, 1])
        jobs = [delayed(ensemble.predict)([[0]])] * 2
        assert Parallel(n_jobs=2)(jobs) == [[0], [0]]
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    subprocess.run(command, check=True)


def test_pickles_of_unfitted_estimators_have_no_versions(monkeypatch):
    """Caches compare these pickles."""
    before = joblib.hash(augmenter())
    monkeypatch.setattr(skwbc, "__version__", "0.0.7")
    assert joblib.hash(augmenter()) == before


def test_a_newer_format(fitted, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(versions, "FORMAT", 2)
        patch.setattr(skwbc, "__version__", "9.1")
        save_model(fitted["pipeline"], tmp_path / "m.joblib")
    for load in (joblib.load, load_model):
        with pytest.raises(
            ValueError, match=r"skwbc 9.1 in format 2;.* up to format 1. Upgrade it"
        ):
            load(tmp_path / "m.joblib")


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x05half", bytes(99)])
def test_files_without_a_model(content, tmp_path):
    path = tmp_path / "m.joblib"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="m.joblib could not be read as a model"):
        load_model(path)
    joblib.dump({"a": 1}, path)
    with pytest.raises(ValueError, match="contains an object of type dict"):
        load_model(path)
