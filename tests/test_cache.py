"""Members that are kept with ``memory`` are used only while nothing has changed."""

import functools
import importlib
import os
import pickle
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from joblib import Memory, parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from skwbc import ImageAugmenter, KFoldEnsembleClassifier
from skwbc.datasets import load_image_folder, save_image_folder

X = np.random.default_rng(0).normal(size=(24, 3))
Y = np.arange(24) % 2


class Frequent(ClassifierMixin, BaseEstimator):
    """Predicts the frequencies of the classes, and counts its fits in a list."""

    fits: list = []

    def __init__(self, setting=None):
        self.setting = setting

    def fit(self, X, y):
        self.fits.append(len(y))
        self.classes_, counts = np.unique(y, return_counts=True)
        self.proba_ = counts / len(y)
        return self

    def predict_proba(self, X):
        n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
        return np.tile(self.proba_, (n_samples, 1))


@pytest.fixture
def n_fits(tmp_path):
    """Return how many members are fitted for an estimator or a parameter of one."""

    def count(setting=None, X=X, memory=tmp_path / "members", **params):
        if not hasattr(setting, "fit"):
            setting = Frequent(setting)
        Frequent.fits.clear()
        KFoldEnsembleClassifier(
            setting, cv=2, memory=memory, random_state=0, **params
        ).fit(X, Y)
        return len(Frequent.fits)

    return count


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of the user, again and again, and import it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)

    def write(text, name="code_of_user"):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    yield write
    for name in ("code_of_user", "helper_of_user"):
        sys.modules.pop(name, None)


BUILDER = """
    import helper_of_user
    from functools import lru_cache
    from math import sqrt

    FILTERS = 8
    SIZES = [3, 5]

    @lru_cache
    def scale(x):
        return x * 2

    def build(x, more=1):
        \"\"\"Build something.\"\"\"
        from helper_of_user import OFFSET
        inner = lambda: scale(x) + SIZES[0] if x in {"a", "b"} else sqrt(x)
        return inner() * FILTERS + helper_of_user.sub(more) + OFFSET

    def unrelated():
        return 1
"""
HELPER = """
    OFFSET = 0
    LIMIT = 3
    def sub(x):
        return x if 0 < LIMIT < x else -x
    def other(x):
        return x
"""


class TestCode:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("inner() *", "inner() +"),
            ("more=1", "more=2"),
            ("x * 2", "x * 3"),
            ("FILTERS = 8", "FILTERS = 4"),
            ("[3, 5]", "[4, 5]"),
            ("import sqrt", "import cbrt as sqrt"),
            ('"b"}', '"c"}'),
            ("OFFSET = 0", "OFFSET = 1"),
            ("LIMIT = 3", "LIMIT = 4"),
            ("else -x", "else +x"),
        ],
    )
    def test_an_edit_that_matters_trains_anew(self, n_fits, module, old, new):
        module(HELPER, "helper_of_user")
        assert n_fits(module(BUILDER).build) == 2
        assert n_fits(module(BUILDER).build) == 0
        assert old in HELPER + BUILDER
        module(HELPER.replace(old, new), "helper_of_user")
        assert n_fits(module(BUILDER.replace(old, new)).build) == 2

    def test_other_edits_do_not(self, n_fits, module):
        module(HELPER, "helper_of_user")
        assert n_fits(module(BUILDER).build) == 2
        module("\n\n" + HELPER.replace("return x\n", "return 1\n"), "helper_of_user")
        edited = BUILDER.replace("return 1", "return 2").replace("Build some", "A")
        assert n_fits(module("\n\n    # moved\n" + edited).build) == 0

    def test_what_functions_carry(self, n_fits):
        def closure(value):
            return lambda x: x + value

        def power(x, n):
            return x**n

        different = [
            closure(1),
            closure(2),
            closure(np.zeros(3)),
            closure(power),
            lambda x: x + 1,
            lambda x: x + 2,
            functools.partial(power, n=2),
            functools.partial(power, n=3),
            [closure(1)],
            {"a": closure(1)},
            Counter(1).count,
            Counter(2).count,
            Counter(1),
            Counter,
            np.mean,
            np.median,
        ]
        assert [n_fits(each) for each in different] == [2] * len(different)
        assert [n_fits(each) for each in different] == [0] * len(different)

    @pytest.mark.parametrize(
        ("old", "new"),
        [("+ self.by", "- self.by"), ("FACTOR = 2", "FACTOR = 3"), ("* 5", "* 6")],
    )
    def test_classes(self, n_fits, module, old, new):
        text = """
            from sklearn.base import BaseEstimator, TransformerMixin
            class Base(TransformerMixin, BaseEstimator):
                FACTOR = 2
                calls = []
                def fit(self, X, y=None):
                    self.calls.append(1)
                    self.fitted_ = True
                    return self
                @property
                def by(self):
                    return self.FACTOR
                @staticmethod
                def twice(X):
                    return X * 5
            class Step(Base):
                def transform(self, X):
                    return self.twice(X) + self.by
        """
        step = module(text).Step()
        assert n_fits(make_pipeline(step, Frequent())) == 2
        assert n_fits(make_pipeline(step, Frequent())) == 0
        edited = module(text.replace(old, new)).Step()
        assert n_fits(make_pipeline(edited, Frequent())) == 2

    def test_functions_of_transformers(self, n_fits, cells):
        for expected in (2, 0):
            for factor in (lambda X: X * 2, lambda X: X * 3):
                step = FunctionTransformer(factor)
                assert n_fits(make_pipeline(step, Frequent())) == expected
                augmenter = ImageAugmenter(preprocessing_function=factor)
                pipeline = make_pipeline(augmenter, Frequent())
                Frequent.fits.clear()
                assert n_fits(pipeline, cells.images) == expected

    def test_what_functions_write_is_no_setting(self, n_fits, module):
        text = """
            log, counts, total = [], {}, 0
            def build(x):
                global total
                log.append(x)
                counts["all"] = counts.get("all", 0)
                counts["all"] += 1
                total += 1
        """
        written = module(text)
        assert n_fits(written.build) == 2
        written.build(1)
        assert n_fits(written.build) == 0


class TestData:
    def test_replaced_files_of_a_lazy_folder(self, n_fits, cells, tmp_path):
        def load(images, time):
            save_image_folder(images, Y, tmp_path / "cells")
            for file in (tmp_path / "cells").rglob("*.png"):
                os.utime(file, ns=(time, time))
            data = load_image_folder(tmp_path / "cells", image_size=(24, 24), lazy=True)
            return data.images

        assert n_fits(X=load(cells.images, 10**18)) == 2
        assert n_fits(X=load(cells.images, 10**18)) == 0
        assert n_fits(X=load(255 - cells.images, 10**18 + 1)) == 2
        augmented = ImageAugmenter().fit(cells.images)
        assert n_fits(X=augmented.transform(load(cells.images, 10**18))) == 2
        assert n_fits(X=augmented.transform(load(cells.images, 10**18))) == 0
        assert n_fits(X=augmented.transform(load(cells.images, 1))) == 2

    def test_a_memory_map_counts_by_its_content(self, n_fits, tmp_path):
        for data, expected in [(X, 2), (X, 0), (X + 1, 2)]:
            np.save(tmp_path / "x.npy", data)
            assert n_fits(X=np.load(tmp_path / "x.npy", mmap_mode="r")) == expected
        assert n_fits() == 0  # The same values in memory.

    def test_masks(self, n_fits):
        for mask, expected in [([0, 1], 2), ([0, 1], 0), ([1, 1], 2)]:
            assert n_fits(np.ma.array([1.0, 2.0], mask=mask)) == expected

    def test_array_likes_that_cannot_be_pickled(self, n_fits):
        class OnDisk:
            """Like a data set of h5py."""

            def __init__(self, array):
                self.array, self.shape, self.dtype = array, array.shape, array.dtype

            def __len__(self):
                return len(self.array)

            def __getitem__(self, key):
                return self.array[key]

            def __reduce__(self):
                raise TypeError("an open file")

        assert n_fits(X=OnDisk(X)) == 2
        assert n_fits(X=OnDisk(X)) == 0
        assert n_fits(X=OnDisk(X + 1)) == 2

    def test_other_kinds_of_data(self, n_fits):
        pandas = pytest.importorskip("pandas")
        sparse = pytest.importorskip("scipy.sparse")
        for kind in (pandas.DataFrame, sparse.csr_array, np.ndarray.tolist):
            assert [n_fits(X=kind(data)) for data in (X, X + 1)] == [2, 2]
            assert [n_fits(X=kind(data)) for data in (X, X + 1)] == [0, 0]

    def test_a_parameter_that_names_a_file(self, n_fits, tmp_path):
        weights = tmp_path / "weights"
        for content, expected in [("a", 2), ("bc", 2), ("bc", 0)]:
            if not weights.exists() or weights.read_text() != content:
                weights.write_text(content)
            assert n_fits(str(weights)) == expected
            assert n_fits({"weights": [weights]}) == expected

    @pytest.mark.parametrize("package", ["sklearn", "joblib", "cv2"])
    def test_other_versions_train_anew(self, n_fits, monkeypatch, package):
        importlib.import_module(package)
        assert n_fits() == 2
        assert n_fits() == 0
        monkeypatch.setattr(f"{package}.__version__", "99.9")
        assert n_fits() == 2


class TestEntries:
    @pytest.fixture
    def entries(self, n_fits, tmp_path):
        assert n_fits() == 2
        return sorted((tmp_path / "members").iterdir())

    @pytest.mark.parametrize("position", [0, 20, 60, -1])
    def test_a_flipped_bit_trains_anew(self, n_fits, entries, position):
        content = bytearray(entries[0].read_bytes())
        content[position] ^= 1
        entries[0].write_bytes(content)
        with pytest.warns(UserWarning, match=entries[0].name) as caught:
            assert n_fits() == 1
        assert sum("not used" in str(each.message) for each in caught) == 1
        assert n_fits() == 0

    @pytest.mark.parametrize("content", [b"", b"short", pickle.dumps(None)])
    def test_other_content(self, n_fits, entries, content):
        for entry in entries:
            entry.write_bytes(content)
        with pytest.warns(UserWarning, match="is damaged"):
            assert n_fits() == 2
        assert n_fits() == 0

    def test_an_entry_without_a_member(self, n_fits, entries, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr("skwbc.ensemble._cache._pickled", lambda _: b"N.")  # None
            n_fits(memory=entries[0].parent, n_restarts=1)
        with pytest.warns(UserWarning, match="holds no member"):
            assert n_fits(n_restarts=1) == 2
        assert n_fits(n_restarts=1) == 0

    def test_only_the_owner_can_read_them(self, entries):
        assert entries[0].parent.stat().st_mode & 0o777 == 0o700
        assert {entry.stat().st_mode & 0o777 for entry in entries} == {0o600}

    def test_a_folder_that_others_can_write_to(self, n_fits, entries, tmp_path):
        folder = entries[0].parent
        own = os.getgid() == folder.stat().st_gid == os.geteuid()
        if own:  # as with a umask of 002
            folder.chmod(0o770)
            entries[0].chmod(0o664)
            assert n_fits() == 0
        folder.chmod(0o777)
        link = tmp_path / "link"
        link.symlink_to(folder)
        for memory in (str(folder), folder, link):
            with pytest.raises(PermissionError, match=r"can be written by.*chmod go-w"):
                n_fits(memory=memory)
        folder.chmod(0o755)
        assert n_fits() == 0

    @pytest.mark.parametrize("which", ["folder", "file"])
    def test_of_another_user(self, n_fits, entries, monkeypatch, which):
        path = str(entries[0].parent if which == "folder" else entries[0])
        stat, own = os.stat, os.stat(path)

        def of_another(file, **options):
            status = stat(file, **options)
            if not os.path.samestat(status, own):
                return status
            values = list(status)
            values[4] += 1  # the number of the user
            return os.stat_result(values)

        monkeypatch.setattr(os, "stat", of_another)
        with pytest.raises(PermissionError, match=f"{which} .* belongs to another"):
            n_fits()

    def test_a_file_in_place_of_the_folder(self, n_fits, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError, match="expected a folder"):
            n_fits(memory=tmp_path / "file")

    def test_a_member_that_cannot_be_pickled(self, n_fits):
        with pytest.warns(UserWarning, match="cannot resume"):
            assert n_fits(Locked()) == 2
        with pytest.warns(UserWarning, match="cannot resume"):
            assert n_fits(Locked()) == 2


class TestRuns:
    @pytest.mark.parametrize("backend", ["loky", "threading"])
    def test_parallel(self, backend, tmp_path):
        member = make_pipeline(
            FunctionTransformer(lambda X: X * 2), DecisionTreeClassifier(max_features=1)
        )
        ensemble = KFoldEnsembleClassifier(
            member, cv=3, random_state=0, memory=tmp_path / "members"
        )
        expected = clone(ensemble).set_params(memory=None).fit(X, Y).oof_proba_
        with parallel_config(backend=backend, n_jobs=2):
            assert_array_equal(clone(ensemble).fit(X, Y).oof_proba_, expected)
        entries = list((tmp_path / "members").iterdir())
        times = [entry.stat().st_mtime_ns for entry in entries]
        assert_array_equal(clone(ensemble).fit(X, Y).oof_proba_, expected)
        assert len(entries) == 3
        assert [entry.stat().st_mtime_ns for entry in entries] == times

    def test_a_fresh_process_resumes(self, tmp_path):
        (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
        outputs = [
            subprocess.check_output([sys.executable, "script.py"], cwd=tmp_path)
            for _ in range(2)
        ]
        assert [output.count(b"fit") for output in outputs] == [2, 0]

    def test_a_memory_of_joblib_is_used_as_it_is(self, n_fits, tmp_path):
        memory = Memory(tmp_path / "joblib", verbose=0)
        assert [n_fits(memory=memory) for _ in range(2)] == [2, 0]
        assert list((tmp_path / "joblib").rglob("output.pkl"))
        assert not list(tmp_path.rglob("*.member"))


NETWORK = """
    import keras

    def build(meta):
        layers = keras.layers
        return keras.Sequential([
            layers.Input(meta["image_shape_"]),
            layers.Conv2D(4, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(meta["n_classes_"], activation="softmax"),
        ])
"""


def test_networks(cells, module, tmp_path):
    """A builder, its import path, and objects of Keras."""
    keras = pytest.importorskip("keras")
    from skwbc import CNNClassifier

    def fit(model, **params):
        network = CNNClassifier(model, epochs=1, random_state=0, **params)
        ensemble = KFoldEnsembleClassifier(
            network, cv=2, random_state=0, memory=tmp_path / "members"
        ).fit(cells.images / 255, cells.target)
        filters = {each.model_.layers[0].filters for each in ensemble.estimators_}
        return filters, len(list((tmp_path / "members").iterdir()))

    edited = NETWORK.replace("Conv2D(4", "Conv2D(8")
    assert fit(module(NETWORK).build) == ({4}, 2)
    assert fit(module(NETWORK).build) == ({4}, 2)
    assert fit(module(edited).build) == ({8}, 4)
    module(NETWORK)
    assert fit("code_of_user:build") == ({4}, 6)
    assert fit("code_of_user:build") == ({4}, 6)
    module(edited)
    assert fit("code_of_user:build") == ({8}, 8)
    for n, smoothing in [(10, 0.1), (10, 0.1), (12, 0.2)]:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
        assert fit("code_of_user:build", loss=loss) == ({8}, n)


SCRIPT = """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from skwbc import KFoldEnsembleClassifier

    NAMES = {"these", "have", "no", "order", "in", "other", "processes"}

    def double(X):
        return X * 2 if "no" in NAMES else X

    class Member(LogisticRegression):
        def fit(self, X, y):
            print("fit")
            return super().fit(X, y)

    X = np.random.default_rng(0).normal(size=(24, 3))
    member = make_pipeline(FunctionTransformer(double), Member())
    KFoldEnsembleClassifier(member, cv=2, random_state=0, memory="members").fit(
        X, np.arange(24) % 2
    )
"""


class Locked(Frequent):
    """Has something that cannot be pickled once it is fitted."""

    def fit(self, X, y):
        self.lock_ = threading.Lock()
        return super().fit(X, y)


class Counter:
    """A callable with state."""

    def __init__(self, start):
        self.start = start

    def __call__(self, x):
        return x + self.start

    def count(self, x):
        return x - self.start
