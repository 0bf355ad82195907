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

from skwbc import (
    CNNClassifier,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    NetworkFeatures,
    SoftVotingClassifier,
    build_compact_cnn,
)
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

    def test_networks_are_the_same_for_any_number_of_jobs(self, cells):
        """In threads, which share what is compiled, and in workers."""
        network = CNNClassifier(model__filters=(4,), epochs=2)
        vote = SoftVotingClassifier(
            [
                ("network", make_pipeline(ImageAugmenter(rotation_range=90), network)),
                ("seen", make_pipeline(NetworkFeatures(), LogisticRegression())),
            ]
        )
        ensemble = KFoldEnsembleClassifier(vote, cv=3, random_state=0)

        def fit(n_jobs):
            return clone(ensemble).set_params(n_jobs=n_jobs).fit(*labelled)

        labelled = cells.images, cells.target
        expected = fit(None)
        parallel = [fit(n_jobs) for n_jobs in (2, -1)]
        with parallel_config("loky"):
            parallel.append(fit(2))
        for each in parallel:
            assert_array_equal(each.oof_proba_, expected.oof_proba_)
            assert_array_equal(
                each.predict_proba(cells.images), expected.predict_proba(cells.images)
            )

    def test_an_error_stops_all_threads(self, cells):
        """No thread goes on training behind it."""
        epochs = []
        built.clear()
        network = CNNClassifier(fails_once, epochs=10_000)
        ensemble = KFoldEnsembleClassifier(network, cv=3, n_jobs=-1)
        with (
            pytest.raises(ZeroDivisionError) as caught,
            listening(lambda event, **details: epochs.append(event)),
        ):
            ensemble.fit(cells.images / 255, cells.target)
        assert "in fold" in caught.value.__notes__[0]
        n_epochs = len(epochs)
        time.sleep(0.5)
        assert len(epochs) == n_epochs < 10_000
        assert not hasattr(ensemble, "estimators_")

    def test_networks_in_workers_have_one_thread(self, cells, monkeypatch):
        """TensorFlow has been used in this process before the workers start."""
        X, y = cells.images / 255, cells.target
        CNNClassifier(model__filters=(4,), epochs=1).fit(X, y)
        # New workers, which have to find the number by themselves. Only now: without
        # the variable TensorFlow would start with more threads in this process as well.
        monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
        get_reusable_executor().shutdown()
        network = CNNClassifier(threads_seen, epochs=1, model__where=os.getpid())
        ensemble = KFoldEnsembleClassifier(network, cv=2, n_jobs=2, random_state=0)
        monkeypatch.delenv("OMP_NUM_THREADS")
        with parallel_config("loky"):
            ensemble.fit(X, y)
        names = [member.model_.name for member in ensemble.estimators_]
        assert names == ["threads_1"] * 2


built: list[None] = []


def fails_once(meta):
    """Build a network, but raise an error for the second one."""
    built.append(None)
    if len(built) == 2:
        raise ZeroDivisionError
    return build_compact_cnn(meta, filters=(4,))


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
            clone(ensemble).set_params(n_jobs=2).fit(cells.images / 255, cells.target)
            in_threads = sorted(event for event, _ in events)
            events.clear()
            ensemble.fit(cells.images / 255, cells.target)
        assert in_threads == sorted(event for event, _ in events)
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
