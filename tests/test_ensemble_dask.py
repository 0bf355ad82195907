"""Members fitted by the workers of a Dask cluster."""

import os
from unittest import mock

import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skwbc import KFoldEnsembleClassifier, make_cell_classifier

distributed = pytest.importorskip("distributed", reason="needs the extra dask")


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes on this machine."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        # The cluster leaves OMP_NUM_THREADS of its workers behind.
        mock.patch.dict(os.environ),
        distributed.LocalCluster(processes=True, **options) as local,
        distributed.Client(local) as client,
    ):
        yield client


@pytest.mark.usefixtures("cluster")
class TestDask:
    def test_the_same_bits_as_here(self):
        X, y = load_iris(return_X_y=True)
        member = DecisionTreeClassifier(max_features=1)
        ensemble = KFoldEnsembleClassifier(member, random_state=0)
        expected = clone(ensemble).fit(X, y)
        with parallel_config(backend="dask"):
            ensemble.fit(X, y)
        assert_array_equal(ensemble.predict_proba(X), expected.predict_proba(X))
        assert_array_equal(ensemble.oof_proba_, expected.oof_proba_)

    def test_parallel_calls_within_members(self):
        """Tasks that wait for tasks of their own could wait forever."""
        X, y = load_iris(return_X_y=True)
        union = FeatureUnion([("scaled", StandardScaler()), ("same", "passthrough")])
        member = make_pipeline(union, RandomForestClassifier(4, n_jobs=2))
        ensemble = KFoldEnsembleClassifier(member, random_state=0)
        expected = clone(ensemble).fit(X, y)
        with parallel_config(backend="dask"):
            ensemble.fit(X, y)
        assert_array_equal(ensemble.oof_proba_, expected.oof_proba_)

    def test_networks(self, cells):
        ensemble = make_cell_classifier(cv=2, epochs=2, random_state=0)
        ensemble.set_params(
            estimator__network__cnn__model__filters=(4, 8),
            estimator__network__cnn__model__weights=None,
            estimator__network__cnn__batch_size=8,
        )
        # With one thread as in the cluster: otherwise the last bits of sums differ.
        expected = clone(ensemble).fit(cells.images, cells.target)
        with parallel_config(backend="dask"):
            ensemble.fit(cells.images, cells.target)
        assert_array_equal(
            ensemble.predict_proba(cells.images), expected.predict_proba(cells.images)
        )
