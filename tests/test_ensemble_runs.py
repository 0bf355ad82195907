"""Fits that run in parallel, report progress, or are killed and continued."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import sklearn
from joblib import Memory, parallel_config
from joblib.externals.loky import get_reusable_executor
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.fixes import parse_version

from skwbc import CNNClassifier, KFoldEnsembleClassifier, SoftVotingClassifier
from skwbc._utils.progress import listening

WITH_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


class Counted(LogisticRegression):
    """Records each fit in a list of the class."""

    fitted: ClassVar[list[int]] = []

    def fit(self, X, y, sample_weight=None):
        self.fitted.append(len(X))
        return super().fit(X, y, sample_weight)


class TestMemory:
    @pytest.fixture
    def run(self, tmp_path):
        """Start ``killed_fit.py`` in a temporary folder."""

        def start(memory="memory", max_depth=3, output="proba.npy", hangs_at=0):
            script = Path(__file__).with_name("killed_fit.py")
            arguments = [memory, str(max_depth), output, str(hangs_at)]
            return subprocess.Popen([sys.executable, script, *arguments], cwd=tmp_path)

        return start

    def test_a_killed_fit_continues_after_the_finished_members(self, run, tmp_path):
        log = tmp_path / "fits.txt"

        def fits():
            return len(log.read_text().splitlines()) if log.exists() else 0

        killed = run(hangs_at=3)
        while fits() < 3:
            assert killed.poll() is None
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert not (tmp_path / "proba.npy").exists()
        assert run().wait() == 0
        assert fits() == 3 + 3  # The third was not finished.
        assert run(memory="", output="undisturbed.npy").wait() == 0
        assert_array_equal(
            np.load(tmp_path / "proba.npy"), np.load(tmp_path / "undisturbed.npy")
        )
        before = fits()
        assert run(max_depth=2).wait() == 0
        assert fits() == before + 5  # All members depend on the parameter.

    @pytest.mark.parametrize("joblib_memory", [False, True])
    def test_it_depends_on_data_and_parameters(self, iris, joblib_memory, tmp_path):
        X, y = iris
        memory = Memory(tmp_path, verbose=0) if joblib_memory else tmp_path

        def fit(X=X, y=y, weights=None, seed=0, **params):
            Counted.fitted.clear()
            member = Counted(max_iter=500, **params)
            ensemble = KFoldEnsembleClassifier(
                member, cv=2, memory=memory, random_state=seed
            )
            ensemble.fit(X, y, sample_weight=weights)
            return len(Counted.fitted)

        assert fit() == 2
        assert fit() == 0
        assert fit(C=0.5) == 2
        assert fit(seed=1) == 2
        assert fit(weights=np.ones(150)) == 2
        assert fit(X=X + 1) == 2
        assert fit(y=y[::-1]) == 2
        assert fit() == 0


class TestParallel:
    @pytest.mark.parametrize("backend", ["loky", "threading"])
    def test_the_same_bits_from_every_backend(self, iris, backend):
        X, y = iris
        member = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_features=1))
        ensemble = KFoldEnsembleClassifier(member, random_state=0)
        expected = clone(ensemble).fit(X, y)
        with parallel_config(backend=backend, n_jobs=2):
            parallel = clone(ensemble).fit(X, y)
        assert_array_equal(parallel.predict_proba(X), expected.predict_proba(X))
        assert_array_equal(parallel.oof_proba_, expected.oof_proba_)

    def test_networks_in_workers_share_the_cores(self, cells, monkeypatch):
        """TensorFlow has been used in this process before the workers start."""
        X, y = cells.images / 255, cells.target
        CNNClassifier(model__filters=(4,), epochs=1).fit(X, y)
        # New workers, which have to find the number by themselves. Only now: without
        # the variable TensorFlow would start with more threads in this process as well.
        monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
        get_reusable_executor().shutdown()
        network = CNNClassifier(threads_seen, epochs=1, model__where=os.getpid())
        ensemble = KFoldEnsembleClassifier(network, cv=2, n_jobs=2, random_state=0)
        ensemble.fit(X, y)
        names = [member.model_.name for member in ensemble.estimators_]
        share = os.environ.get("OMP_NUM_THREADS") or max((os.cpu_count() or 1) // 2, 1)
        assert names == [f"threads_{share}"] * 2


def threads_seen(meta, where):
    """Build a network whose name has the number of threads of TensorFlow."""
    import keras
    import tensorflow as tf

    assert os.getpid() != where, "not in a worker"
    threads = tf.config.threading.get_intra_op_parallelism_threads() or int(
        os.environ.get("TF_NUM_INTRAOP_THREADS", "0")
    )
    return keras.Sequential(
        [
            keras.layers.Input(meta["image_shape_"]),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ],
        name=f"threads_{threads}",
    )


@pytest.mark.skipif(not WITH_CALLBACKS, reason="scikit-learn 1.9 brought callbacks")
class TestCallbacks:
    @pytest.fixture
    def recorder(self):
        class Recorder:
            """Records the tasks that begin and end."""

            max_propagation_depth = None

            def __init__(self):
                self.begun, self.ended, self.running = [], [], 0

            def setup(self, estimator, context):
                self.running += 1

            def on_fit_task_begin(self, estimator, context):
                self.begun.append((context.estimator_name, context.task_name))

            def on_fit_task_end(self, estimator, context):
                self.ended.append((context.estimator_name, context.task_name))

            def teardown(self, estimator, context):
                self.running -= 1

        return Recorder()

    def test_folds_and_their_epochs(self, cells, recorder):
        network = CNNClassifier(model__filters=(4,), epochs=2)
        ensemble = KFoldEnsembleClassifier(network, cv=2, random_state=0)
        ensemble.set_callbacks(recorder).fit(cells.images / 255, cells.target)
        assert recorder.begun.count(("KFoldEnsembleClassifier", "fit")) == 1
        assert recorder.begun.count(("CNNClassifier", "fit")) == 2
        assert recorder.begun.count(("CNNClassifier", "epoch")) == 4
        assert sorted(recorder.ended) == sorted(recorder.begun)
        assert recorder.running == 0

    def test_epochs_of_a_network_that_votes(self, cells, recorder):
        network = CNNClassifier(model__filters=(4,), epochs=2)
        vote = SoftVotingClassifier([("network", network), ("other", clone(network))])
        ensemble = KFoldEnsembleClassifier(vote, cv=2, random_state=0)
        ensemble.set_callbacks(recorder).fit(cells.images / 255, cells.target)
        assert recorder.begun.count(("CNNClassifier", "fit")) == 4
        assert recorder.begun.count(("CNNClassifier", "epoch")) == 8
        assert sorted(recorder.ended) == sorted(recorder.begun)
        assert recorder.running == 0

    def test_a_listener_hears_of_the_same_events(self, cells):
        events = []
        ensemble = KFoldEnsembleClassifier(
            CNNClassifier(model__filters=(4,), epochs=2), cv=2, random_state=0
        )
        with listening(lambda event, **details: events.append((event, details))):
            ensemble.fit(cells.images / 255, cells.target)
        names = ["fold_started", "epoch", "epoch", "fold_finished"] * 2
        assert [name for name, _ in events] == names
        assert events[4][1] == {"fold": 2, "n_folds": 2}
        assert (events[6][1]["epoch"], events[6][1]["epochs"]) == (2, 2)
        assert events[7][1]["score"] == ensemble.fold_scores_[1]

    def test_progress_bar_of_scikit_learn(self, iris, capsys):
        from sklearn.callback import ProgressBar

        X, y = iris
        member = make_pipeline(StandardScaler(), LogisticRegression())
        for n_jobs in (1, 2):
            ensemble = KFoldEnsembleClassifier(member, cv=3, n_jobs=n_jobs)
            ensemble.set_callbacks(ProgressBar(max_propagation_depth=2)).fit(X, y)
            shown = capsys.readouterr().out
            assert "KFoldEnsembleClassifier - fit" in shown
            assert shown.count("fold") >= 3
            assert "100%" in shown


def test_without_callbacks_nothing_is_stored(iris):
    ensemble = KFoldEnsembleClassifier(LogisticRegression(max_iter=500)).fit(*iris)
    for estimator in (ensemble, ensemble.estimators_[0]):
        assert not [name for name in vars(estimator) if "callback" in name]
