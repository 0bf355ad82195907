"""Members that predict together predict the same as each alone."""

import functools
import pickle

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skwbc import (
    CNNClassifier,
    ColourStatistics,
    FlattenImages,
    ImageAugmenter,
    KFoldEnsembleClassifier,
    SoftVotingClassifier,
    make_cell_classifier,
)


class Scaler(ImageAugmenter):
    """Divides by the mean brightness of its own training images."""

    def fit(self, X, y=None):
        super().fit(X, y)
        self.brightness_ = np.mean(X)
        return self

    def fit_transform(self, X, y=None):
        return self.fit(X, y).transform(X)

    def transform(self, X):
        return np.asarray(X) / self.brightness_


class InPlace(TransformerMixin, BaseEstimator):
    """Changes its input."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        X *= 2
        return X


class Sceptic(SoftVotingClassifier):
    """A vote with less certain probabilities."""

    def predict_proba(self, X):
        return super().predict_proba(X) / 2 + 0.5 / len(self.classes_)


def linear(*steps):
    return make_pipeline(
        *steps, FlattenImages(), StandardScaler(), LogisticRegression(max_iter=2000)
    )


CENTRE = ImageAugmenter(rescale=1 / 255, samplewise_center=True)
NETWORK = CNNClassifier(model__filters=(4, 6), epochs=1)
VIEWS = clone(NETWORK).set_params(test_time_augmentation="dihedral")
MEMBERS = {
    "default recipe": make_cell_classifier(epochs=1).estimator,
    "article's recipe": make_cell_classifier("article", epochs=1).estimator,
    "one network": make_pipeline("passthrough", CENTRE, None, NETWORK),
    "views": make_pipeline(CENTRE, VIEWS),
    "learnt from its fold": make_pipeline(
        ImageAugmenter(featurewise_center=True), NETWORK
    ),
    "a subclass": linear(Scaler(rescale=1 / 255)),
    "a step that works in place": linear(CENTRE, InPlace()),
    "a subclass of a vote": Sceptic([("colours", make_pipeline(CENTRE, NETWORK))]),
    "an ensemble": KFoldEnsembleClassifier(linear(CENTRE), cv=2),
    "colours": make_pipeline(
        ColourStatistics(), StandardScaler(), LogisticRegression(max_iter=2000)
    ),
}


@pytest.fixture(scope="module")
def fitted(cells):
    """Return a function that fits an ensemble of members by their name, once."""

    @functools.cache
    def fit(name):
        ensemble = KFoldEnsembleClassifier(MEMBERS[name], cv=3, random_state=0)
        return ensemble.fit(cells.images, cells.target)

    return fit


@pytest.mark.parametrize("bound", [None, 0], ids=["in one call", "a call each"])
@pytest.mark.parametrize("name", MEMBERS)
def test_together_equals_alone(fitted, cells, name, bound, monkeypatch):
    from skwbc.cnn._compiled import tensorflow as _tensorflow

    if bound is not None:
        monkeypatch.setattr(_tensorflow, "_MOST_BYTES", bound)
    ensemble, images = fitted(name), cells.images[::2]
    images.flags.writeable = False
    for n in (1, len(images)):
        together = ensemble.predict_proba_members(images[:n])
        alone = [member.predict_proba(images[:n]) for member in ensemble.estimators_]
        assert_array_equal(together, alone)


def test_members_that_were_changed(fitted, cells):
    """Members that are no longer alike predict one by one."""
    ensemble = pickle.loads(pickle.dumps(fitted("default recipe")))
    images = cells.images[:5]
    before = ensemble.predict_proba_members(images)
    described, network = ensemble.estimators_[1].estimators_
    network[-1].test_time_augmentation = None
    described[0]["colours"].radius = 0.5
    only_network = clone(ensemble.estimators_[2]).set_params(described="drop")
    ensemble.estimators_[2] = only_network.fit(cells.images, cells.target)
    after = ensemble.predict_proba_members(images)
    assert_array_equal(
        after, [member.predict_proba(images) for member in ensemble.estimators_]
    )
    assert_array_equal(after[0], before[0])
    assert (after[1:] != before[1:]).any(axis=(1, 2)).all()


@pytest.mark.filterwarnings("ignore:Members that do no better")
def test_members_with_other_classes(cells):
    """Their networks have another number of outputs."""
    lacks = cells.target == cells.target[0]
    splits = [
        (np.arange(2, 24), [0, 1]),
        (np.flatnonzero(~lacks), np.flatnonzero(lacks)),
    ]
    member = make_pipeline(CENTRE, NETWORK)
    with pytest.warns(UserWarning, match="not trained on all classes"):
        ensemble = KFoldEnsembleClassifier(member, cv=splits).fit(
            cells.images, cells.target
        )
    together = ensemble.predict_proba_members(cells.images)
    for proba, member in zip(together, ensemble.estimators_, strict=True):
        has_class = np.isin(ensemble.classes_, member.classes_)
        assert_array_equal(proba[:, has_class], member.predict_proba(cells.images))
        assert (proba[:, ~has_class] == 0).all()


def test_networks_are_not_compiled_for_each_number_of_images(
    fitted, cells, monkeypatch
):
    ensemble = fitted("default recipe")
    ensemble.predict_proba(cells.images[:1])
    traced = []
    call = keras.layers.Conv2D.call
    monkeypatch.setattr(
        keras.layers.Conv2D, "call", lambda *args: (traced.append(1), call(*args))[1]
    )
    for n in (1, 3, 24, 70):
        ensemble.predict_proba(cells.images[np.arange(n) % 24])
    assert not traced
    pipeline = ensemble.estimators_[0].estimators_[1]
    pipeline[-1].model_(pipeline[0].transform(cells.images[:1]))
    assert traced
