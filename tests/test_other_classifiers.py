"""Members from everywhere in scikit-learn, and from imbalanced-learn."""

import subprocess
import sys

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from skwbc import CNNClassifier, KFoldEnsembleClassifier, SoftVotingClassifier
from skwbc.ensemble._parts import what_folds_chose

LINEAR = LogisticRegression(max_iter=500)
BOOSTING = HistGradientBoostingClassifier(max_iter=5, random_state=0)
STACK = StackingClassifier([("bayes", GaussianNB()), ("linear", LINEAR)], cv=2)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def vote_of(estimator):
    return SoftVotingClassifier([("part", estimator)])


def in_ensemble(estimator, **params):
    return KFoldEnsembleClassifier(estimator, cv=2, random_state=0, **params)


class TestProbabilitiesOnceFitted:
    @pytest.mark.parametrize("outer", [in_ensemble, vote_of])
    @pytest.mark.parametrize(
        "member",
        [
            STACK,
            make_pipeline(StandardScaler(), STACK),
            GridSearchCV(STACK, {"cv": [2]}, cv=2),
            OneVsRestClassifier(STACK),
        ],
        ids=["stack", "pipeline", "search", "one-vs-rest"],
    )
    def test_a_stack_with_its_default_final_estimator(self, iris, outer, member):
        X, y = iris
        assert outer(member).fit(X, y).predict_proba(X).shape == (150, 3)

    @pytest.mark.parametrize("outer", [in_ensemble, vote_of])
    @pytest.mark.parametrize(
        "member", [SVC(), GridSearchCV(LinearSVC(), {"C": [1]}, cv=2)]
    )
    def test_missing_after_fit(self, iris, outer, member):
        name = type(member).__name__
        with pytest.raises(ValueError, match=f"{name}; expected .* with predict_proba"):
            outer(member).fit(*iris)

    @pytest.mark.parametrize("outer", [in_ensemble, vote_of])
    def test_never_there(self, iris, outer):
        class Slow(LinearSVC):
            def fit(self, X, y):
                raise AssertionError("fitted in vain")

        for member in (Slow(), make_pipeline(StandardScaler(), Slow())):
            with pytest.raises(ValueError, match="a Slow; expected a classifier"):
                outer(member).fit(*iris)


class TestGradientBoostingThatIgnoresItsFold:
    """With early_stopping="auto" it stops early only from 10,000 samples on."""

    members = pytest.mark.parametrize(
        "wrap",
        [
            lambda boosting: boosting,
            lambda boosting: make_pipeline(StandardScaler(), boosting),
            lambda boosting: SoftVotingClassifier([("a", boosting), ("b", LINEAR)]),
            lambda boosting: make_pipeline(StandardScaler(), vote_of(boosting)),
        ],
        ids=["bare", "pipeline", "vote", "pipeline of a vote"],
    )

    @members
    def test_what_the_folds_chose(self, iris, wrap):
        for early_stopping, chose in (("auto", False), (True, True), (False, False)):
            member = wrap(clone(BOOSTING).set_params(early_stopping=early_stopping))
            ensemble = in_ensemble(member).fit(*iris)
            assert bool(what_folds_chose(ensemble)) == chose

    @members
    def test_demanded(self, iris, wrap):
        with pytest.raises(ValueError, match="Set early_stopping=True"):
            in_ensemble(wrap(BOOSTING), validation=True).fit(*iris)
        stopping = wrap(clone(BOOSTING).set_params(early_stopping=True))
        in_ensemble(stopping, validation=True).fit(*iris)

    def test_one_iteration_leaves_nothing_to_choose(self, iris):
        once = clone(BOOSTING).set_params(early_stopping=True, max_iter=1)
        assert not what_folds_chose(in_ensemble(once).fit(*iris))


class TestSamplersOfImbalancedLearn:
    def test_the_held_out_fold_is_not_resampled(self, iris):
        X, y = iris[0][35:], iris[1][35:]
        boosting = clone(BOOSTING).set_params(early_stopping=True)
        sampler = RandomOverSampler(random_state=0)
        member = make_sampling_pipeline(StandardScaler(), sampler, boosting)
        ensemble = KFoldEnsembleClassifier(member, cv=2).set_params(random_state=0)
        ensemble.fit(X, y)
        for fitted, (train, held_out) in zip(
            ensemble.estimators_, ensemble.splits_, strict=True
        ):
            scaler = StandardScaler().fit(X[train])
            alone = clone(fitted[-1]).fit(
                *clone(fitted[1]).fit_resample(scaler.transform(X[train]), y[train]),
                X_val=scaler.transform(X[held_out]),
                y_val=y[held_out],
            )
            assert_array_equal(fitted[-1].validation_score_, alone.validation_score_)

    def test_weights_behind_a_sampler(self, iris):
        X, y = iris
        member = make_sampling_pipeline(StandardScaler(), RandomOverSampler(), LINEAR)
        weights = np.ones(len(y))
        for outer in (in_ensemble(member), vote_of(member)):
            with pytest.raises(TypeError, match="LogisticRegression behind a Random"):
                outer.fit(X, y, sample_weight=weights)
            outer.fit(X, y, standardscaler__sample_weight=weights)

    def test_export(self, iris, tmp_path):
        pytest.importorskip("skl2onnx")
        from skwbc.export import OnnxClassifier, to_onnx

        X, y = iris
        member = make_sampling_pipeline(StandardScaler(), RandomOverSampler(), LINEAR)
        ensemble = in_ensemble(member).fit(X, y)
        to_onnx(ensemble, tmp_path / "model.onnx")
        proba = OnnxClassifier(tmp_path / "model.onnx").predict_proba(X)
        assert_allclose(proba, ensemble.predict_proba(X), atol=1e-5)

    def test_images_and_their_activation_maps(self, X, y):
        from imblearn import FunctionSampler

        from skwbc.inspection import grad_cam

        network = CNNClassifier(epochs=2, model__filters=(4, 8), random_state=0)
        twice = FunctionSampler(
            func=lambda X, y: (np.repeat(X, 2, axis=0), np.repeat(y, 2)), validate=False
        )
        ensemble = in_ensemble(make_sampling_pipeline(twice, network)).fit(X, y)
        assert len(ensemble.estimators_[0][-1].history_["val_loss"]) == 2
        assert grad_cam(ensemble, X[:2]).shape == (2, 24, 24)


class Tensor:
    """Behaves like the tensors of any library; its rows cannot be selected."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.shape = self.values.shape

    def __len__(self):
        return len(self.values)

    def __getitem__(self, key):
        raise TypeError("only integers and slices are valid indices")

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)


class TestTensors:
    @pytest.mark.parametrize("library", ["any", "tensorflow"])
    def test_they_are_taken_as_arrays(self, iris, library):
        tensor = Tensor
        if library == "tensorflow":
            tensor = pytest.importorskip("tensorflow").constant
        X, y = iris
        weights, groups = np.linspace(0.1, 1, 150), np.arange(150) // 2
        vote = SoftVotingClassifier([("a", LINEAR), ("b", GaussianNB())])
        for outer in (in_ensemble(vote), vote):
            params = {"sample_weight": weights}
            if outer is not vote:
                params["groups"] = groups
            expected = clone(outer).fit(X, y, **params)
            tensors = {name: tensor(value) for name, value in params.items()}
            fitted = clone(outer).fit(tensor(X), tensor(y), **tensors)
            assert_array_equal(
                fitted.predict_proba(tensor(X)), expected.predict_proba(X)
            )


class TestMultiprocessing:
    """The backend of joblib that forks, and returns all results at the end."""

    def test_members_of_scikit_learn(self):
        # In a process of its own: a fork of one with threads may wait for ever.
        code = """
import joblib
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
from skwbc import KFoldEnsembleClassifier
X, y = load_iris(return_X_y=True)
ensemble = KFoldEnsembleClassifier(DecisionTreeClassifier(), cv=3, random_state=0)
expected = ensemble.fit(X, y).oof_proba_
ensemble.set_params(verbose=1)
with joblib.parallel_config(backend="multiprocessing", n_jobs=2):
    assert (ensemble.fit(X, y).oof_proba_ == expected).all()
"""
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("[KFoldEnsembleClassifier] fold") == 3

    @pytest.mark.parametrize("wrap", [make_pipeline, vote_of, in_ensemble])
    def test_networks_are_refused_unless_nothing_is_forked(self, X, y, wrap):
        network = CNNClassifier(epochs=1, model__filters=(4, 8), random_state=0)
        ensemble = in_ensemble(wrap(network))
        with parallel_config(backend="multiprocessing"):
            with pytest.raises(ValueError, match="use 'loky' or 'threading'"):
                clone(ensemble).set_params(n_jobs=2).fit(X, y)
            assert len(ensemble.fit(X, y).estimators_) == 2
