"""Checks of scikit-learn for the fold ensemble, and use with other estimators."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    log_loss,
    roc_auc_score,
)
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skwbc import KFoldEnsembleClassifier

# Converges so far that weighted and repeated samples agree to 1e-9.
LINEAR = LogisticRegression(solver="newton-cholesky", tol=1e-10)
MEMBERS = [
    LINEAR,
    HistGradientBoostingClassifier(max_iter=9, learning_rate=0.5),
    make_pipeline(StandardScaler(), LINEAR),
]
BINS = "gradient boosting computes the bins of features without sample weights"


def expected_failures(ensemble):
    if isinstance(ensemble.estimator, HistGradientBoostingClassifier):
        return {"check_sample_weight_equivalence_on_dense_data": BINS}
    return {}


@parametrize_with_checks(
    [KFoldEnsembleClassifier(member, random_state=0) for member in MEMBERS],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("ignore")
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def logistic(**params):
    return LogisticRegression(max_iter=500, **params)


class TestKindsOfInput:
    def test_data_frames_keep_their_names(self):
        X, y = load_iris(return_X_y=True, as_frame=True)
        ensemble = KFoldEnsembleClassifier(logistic(), random_state=0).fit(X, y)
        assert ensemble.feature_names_in_.tolist() == X.columns.tolist()
        assert_array_equal(
            ensemble.estimators_[2].feature_names_in_, ensemble.feature_names_in_
        )
        assert np.mean(ensemble.predict(X) == y) > 0.9

    def test_categories_reach_the_members_unchanged(self):
        X = pd.DataFrame({"colour": ["red", "blue"] * 20, "size": range(40)})
        X["colour"] = X["colour"].astype("category")
        y = np.array(["a", "b"] * 20)
        boosting = HistGradientBoostingClassifier(categorical_features="from_dtype",
                                                  min_samples_leaf=2)  # fmt: skip
        ensemble = KFoldEnsembleClassifier(boosting, cv=2, random_state=0).fit(X, y)
        assert ensemble.oof_score_ == 1

    @pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array"])
    def test_sparse_matrices(self, iris, kind):
        X, y = iris
        sparse = getattr(scipy.sparse, kind)(X)
        ensemble = KFoldEnsembleClassifier(logistic(), random_state=0)
        dense = clone(ensemble).fit(X, y).predict_proba(X)
        assert_allclose(ensemble.fit(sparse, y).predict_proba(sparse), dense, atol=1e-3)

    def test_lists(self, iris):
        X, y = iris
        ensemble = KFoldEnsembleClassifier(logistic(), random_state=0)
        expected = clone(ensemble).fit(X, y).predict_proba(X)
        X, y = X.tolist(), y.tolist()
        assert_array_equal(ensemble.fit(X, y).predict_proba(X), expected)

    def test_distances_between_samples(self, iris):
        X, y = iris
        ensemble = KFoldEnsembleClassifier(KNeighborsClassifier(), random_state=0)
        on_distances = clone(ensemble).set_params(estimator__metric="precomputed")
        assert on_distances.__sklearn_tags__().input_tags.pairwise
        X = X + np.random.default_rng(0).normal(0, 0.01, X.shape)  # No ties.
        distances = euclidean_distances(X)
        on_distances.fit(distances, y)
        expected = ensemble.fit(X, y)
        assert_array_equal(on_distances.oof_proba_, expected.oof_proba_)
        assert_array_equal(
            on_distances.predict_proba(distances), expected.predict_proba(X)
        )

    def test_arrays_that_only_the_member_understands(self):
        class Lazy:
            """Rows that are made on demand; never all of them."""

            shape = (1000, 2, 3)
            dtype = np.dtype(float)

            def __init__(self, rows=None):
                self.rows = np.arange(1000) if rows is None else rows

            def __len__(self):
                return len(self.rows)

            def __getitem__(self, key):
                return Lazy(self.rows[key[0] if isinstance(key, tuple) else key])

            def __array__(self, dtype=None, copy=None):
                raise AssertionError("materialised by the ensemble")

        class Parity(GaussianNB):
            def fit(self, X, y):
                return super().fit(X.rows[:, None] % 2, y)

            def predict_proba(self, X):
                return super().predict_proba(X.rows[:, None] % 2)

        y = np.arange(1000) % 2
        ensemble = KFoldEnsembleClassifier(Parity()).fit(Lazy(), y)
        assert ensemble.score(Lazy(), y) == 1


class TestFitParameters:
    def test_weights_reach_all_steps_that_take_them(self, iris):
        X, y = iris
        weights = np.random.default_rng(0).random(150)
        pipeline = make_pipeline(StandardScaler(), logistic())
        ensemble = KFoldEnsembleClassifier(pipeline, random_state=0)
        ensemble.fit(X, y, sample_weight=weights)
        train = ensemble.splits_[0][0]
        scaler = StandardScaler().fit(X[train], sample_weight=weights[train])
        expected = logistic().fit(scaler.transform(X[train]), y[train], weights[train])
        assert_array_equal(
            ensemble.predict_proba_members(X)[0],
            expected.predict_proba(scaler.transform(X)),
        )

    def test_a_step_can_be_named(self, iris):
        X, y = iris
        weights = np.random.default_rng(0).random(150)
        pipeline = make_pipeline(StandardScaler(), logistic())
        ensemble = KFoldEnsembleClassifier(pipeline, random_state=0)
        ensemble.fit(X, y, logisticregression__sample_weight=weights)
        train = ensemble.splits_[0][0]
        scaler = ensemble.estimators_[0][0]
        assert_allclose(scaler.mean_, X[train].mean(axis=0))

    @pytest.mark.parametrize("cv", [3, None])
    def test_with_metadata_routing_a_number_of_folds_asks_for_groups(self, iris, cv):
        X, y = iris
        groups = np.arange(150) % 30
        with sklearn.config_context(enable_metadata_routing=True):
            results = cross_validate(
                KFoldEnsembleClassifier(logistic(), cv=cv),
                X,
                y,
                cv=StratifiedGroupKFold(2),
                params={"groups": groups},
                return_estimator=True,
                return_indices=True,
            )
        for ensemble, rows in zip(
            results["estimator"], results["indices"]["train"], strict=True
        ):
            for train, held_out in ensemble.splits_:
                assert not set(groups[rows[train]]) & set(groups[rows[held_out]])

    def test_with_metadata_routing_requests_are_followed(self, iris):
        X, y = iris
        weights, groups = np.arange(150.0), np.arange(150) % 30
        with sklearn.config_context(enable_metadata_routing=True):
            member = logistic().set_fit_request(sample_weight=True)
            ensemble = KFoldEnsembleClassifier(member, cv=GroupKFold(3))
            router = ensemble.get_metadata_routing()
            assert router.consumes("fit", ["sample_weight", "groups", "other"]) == {
                "sample_weight",
                "groups",
            }
            ensemble.fit(X, y, sample_weight=weights, groups=groups)
            train = ensemble.splits_[0][0]
            assert not set(groups[train]) & set(groups[ensemble.splits_[0][1]])
            expected = logistic().fit(X[train], y[train], weights[train])
            assert_array_equal(ensemble.estimators_[0].coef_, expected.coef_)
            refused = KFoldEnsembleClassifier(
                logistic().set_fit_request(sample_weight=False)
            )
            with pytest.raises(TypeError, match="unexpected argument"):
                refused.fit(X, y, sample_weight=weights)
            boosting = HistGradientBoostingClassifier(
                early_stopping=True, max_iter=9
            ).set_fit_request(sample_weight=True)
            watching = make_pipeline(StandardScaler().set_fit_request(
                sample_weight=False), boosting)  # fmt: skip
            KFoldEnsembleClassifier(watching, validation=True).fit(
                X, y, sample_weight=weights
            )

    def test_validation_weights_are_those_of_the_held_out_fold(self, iris):
        X, y = iris
        weights = np.random.default_rng(0).random(150)
        weights_val = []

        class Spy(HistGradientBoostingClassifier):
            def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None,
                    sample_weight_val=None):  # fmt: skip
                weights_val.append(sample_weight_val)
                return super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val,
                                   sample_weight_val=sample_weight_val)  # fmt: skip

        pipeline = make_pipeline(StandardScaler(), Spy(max_iter=2, early_stopping=True))
        ensemble = KFoldEnsembleClassifier(pipeline, cv=3, random_state=0)
        ensemble.fit(X, y, sample_weight=weights)
        for passed, (_, held_out) in zip(weights_val, ensemble.splits_, strict=True):
            assert_array_equal(passed, weights[held_out])


class TestNeighbours:
    def test_from_cross_validate(self, iris):
        X, y = iris
        results = cross_validate(
            logistic(), X, y, cv=4, return_estimator=True, return_indices=True
        )
        ensemble = KFoldEnsembleClassifier.from_cross_validate(results)
        members = [member.predict_proba(X) for member in results["estimator"]]
        assert_array_equal(ensemble.predict_proba(X), np.mean(members, axis=0))
        assert ensemble.estimators_[0] is results["estimator"][0]
        assert len(ensemble.splits_) == 4
        assert ensemble.n_features_in_ == 4
        # Fitted anew it has the default folds. Indices would fill the repr.
        assert len(clone(ensemble).fit(X, y).estimators_) == 5
        assert repr(ensemble) == (
            "KFoldEnsembleClassifier(estimator=LogisticRegression(max_iter=500))"
        )
        with pytest.raises(ValueError, match="return_estimator=True"):
            KFoldEnsembleClassifier.from_cross_validate({"test_score": []})
        results = cross_validate(SVC(), X, y, cv=2, return_estimator=True)
        with pytest.raises(ValueError, match="SVC without predict_proba"):
            KFoldEnsembleClassifier.from_cross_validate(results)

    def test_inside_other_meta_estimators(self, iris):
        X, y = iris
        ensemble = KFoldEnsembleClassifier(logistic(), cv=3, random_state=0)
        fitted = clone(ensemble).fit(X, y)
        frozen = FrozenEstimator(fitted)
        assert_array_equal(frozen.predict_proba(X), fitted.predict_proba(X))
        for outer in (
            CalibratedClassifierCV(ensemble, cv=2),
            CalibratedClassifierCV(frozen),
            VotingClassifier([("a", ensemble), ("b", logistic())], voting="soft"),
            StackingClassifier([("a", ensemble)], logistic(), cv=2),
            KFoldEnsembleClassifier(ensemble, cv=2),
        ):
            assert outer.fit(X, y).score(X, y) > 0.9


class TestScoring:
    def test_any_scorer(self, iris):
        X, y = iris
        ensemble = KFoldEnsembleClassifier(
            logistic(), scoring="neg_log_loss", random_state=0
        ).fit(X, y)
        proba = ensemble.oof_proba_
        assert ensemble.oof_score_ == pytest.approx(-log_loss(y, proba))
        held_out = ensemble.splits_[1][1]
        assert ensemble.fold_scores_[1] == pytest.approx(
            -log_loss(y[held_out], proba[held_out])
        )
        for scoring, expected in {
            "balanced_accuracy": balanced_accuracy_score(y, proba.argmax(axis=1)),
            "roc_auc_ovr": roc_auc_score(y, proba, multi_class="ovr"),
            "f1_macro": f1_score(y, proba.argmax(axis=1), average="macro"),
        }.items():
            scored = clone(ensemble).set_params(scoring=scoring).fit(X, y)
            assert scored.oof_score_ == pytest.approx(expected)
        with pytest.raises(ValueError, match="The 'scoring' parameter"):
            clone(ensemble).set_params(scoring="prettiness").fit(X, y)

    def test_a_fold_that_cannot_be_scored_is_nan(self, iris):
        X, y = iris
        splits = [(np.arange(150)[5:], np.arange(5)), (np.arange(0, 150, 2), [1, 51])]
        ensemble = KFoldEnsembleClassifier(
            logistic(), cv=splits, scoring="roc_auc_ovr", validation=False
        )
        with pytest.warns(UserWarning, match="'roc_auc_ovr' cannot be computed"):
            ensemble.fit(X, y)
        assert np.isnan(ensemble.fold_scores_[0])

    def test_logarithms(self, iris):
        X, y = iris
        ensemble = KFoldEnsembleClassifier(logistic(), random_state=0).fit(X, y)
        assert_allclose(
            np.exp(ensemble.predict_log_proba(X)), ensemble.predict_proba(X)
        )
