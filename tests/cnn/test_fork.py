"""Networks in forked processes, where TensorFlow would wait forever."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

# Runs each use in a forked child, which prints the error or that there was none.
SCRIPT = """
import os, pickle, warnings
warnings.simplefilter("ignore")
import numpy as np
from sklearn.linear_model import LogisticRegression
from skwbc import CNNClassifier, KFoldEnsembleClassifier, SoftVotingClassifier
from skwbc.export import OnnxClassifier, to_onnx
from skwbc.inspection import grad_cam

X = np.random.default_rng(0).random((8, 16, 16, 3))
y = np.arange(8) % 2
cnn = CNNClassifier(epochs=1, model__filters=(4,), random_state=0)
vote = SoftVotingClassifier([("cnn", cnn)])
ensemble = KFoldEnsembleClassifier(cnn, cv=2, random_state=0)
linear = KFoldEnsembleClassifier(LogisticRegression(), cv=2).fit(X[:, 0, :, 0], y)

def in_child(name, use):
    pid = os.fork()
    if pid == 0:
        try:
            use()
            print(name, "works", flush=True)
        except Exception as error:
            print(name, type(error).__name__, str(error)[:80], flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def run(script, backend="tensorflow"):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT + textwrap.dedent(script)],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=500,  # It would wait for ever.
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """Run one process that has used networks, and its children."""
    file = tmp_path_factory.mktemp("forked") / "m.onnx"
    return run(f"""
        cnn.fit(X, y), vote.fit(X, y), ensemble.fit(X, y)
        dump = pickle.dumps(cnn)
        in_child("fit", lambda: CNNClassifier().fit(X, y))
        in_child("predict", lambda: cnn.predict(X))
        again = lambda: pickle.loads(pickle.dumps(pickle.loads(dump)))
        in_child("load", lambda: again().predict(X))
        in_child("vote", lambda: vote.predict(X))
        in_child("ensemble", lambda: ensemble.predict_proba(X))
        in_child("grad_cam", lambda: grad_cam(ensemble, X))
        in_child("export", lambda: to_onnx(ensemble, r"{file}"))
        in_child("linear", lambda: linear.predict(X[:, 0, :, 0]))
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(1) as pool:
            try:
                pool.apply(cnn.predict, [X])
            except RuntimeError as error:
                print("pool", str(error)[:20])
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print("spawned", len(pool.apply(cnn.predict, [X])), flush=True)
        try:
            to_onnx(ensemble, r"{file}", input_dtype="float32")
        except ImportError:
            raise SystemExit
        clf = OnnxClassifier(r"{file}", n_threads=2)
        images = np.tile(X, (16, 1, 1, 1)).astype("float32")
        clf.predict(images)
        in_child("open", lambda: clf.predict(images))
        new = lambda: OnnxClassifier(r"{file}", n_threads=2).predict(images)
        in_child("new", new)
        in_child("delete", lambda: vars(clf).clear())
    """)


def test_every_use_of_a_network_is_refused(lines):
    *refused, linear, pool = lines[:9]
    assert pool == "pool This process was for"
    assert [line.split()[0] for line in refused] == [
        *("fit", "predict", "load", "vote", "ensemble", "grad_cam", "export")
    ]
    for line in refused:
        assert "RuntimeError This process was forked from one in which Keras' b" in line
    assert linear == "linear works"


def test_a_process_of_its_own(lines):
    assert lines[9] == "spawned 8"


def test_onnx_files_work(lines):
    pytest.importorskip("onnxruntime")
    assert lines[10:] == ["open works", "new works", "delete works"]


@pytest.mark.parametrize(
    ("backend", "use"),
    [
        ("tensorflow", "import tensorflow; tensorflow.constant(1.0) + 1"),
        pytest.param(
            *("jax", "import jax; jax.numpy.ones(1) + 1"), marks=pytest.mark.backend
        ),
    ],
)
def test_a_parent_that_ran_the_backend_by_itself(backend, use):
    pytest.importorskip(backend)
    lines = run(
        f"""
        import skwbc.cnn
        # It has only been imported, which starts no threads.
        in_child("before", lambda: cnn.fit(X, y).predict(X))
        {use}
        in_child("after", lambda: cnn.fit(X, y))
        """,
        backend,
    )
    assert lines[0] == "before works"
    assert lines[1].startswith("after RuntimeError This process was forked")
