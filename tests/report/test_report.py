"""Contents of reports, and their accessibility in any browser."""

import base64
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import make_pipeline

from skwbc import (
    FlattenImages,
    KFoldEnsembleClassifier,
    inspection,
    make_cell_classifier as make_cells,
    save_model,
)
from skwbc.datasets import ImageFiles
from skwbc.export import to_onnx
from skwbc.inspection._evaluation import training_table
from skwbc.report import write_evaluation_report, write_training_report

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=y>',
    "$\\frac$ & 単球\x1b\r\x07",
]
RECIPE_CALL = "make_cell_classifier('compact', cv=2, epochs=1, random_state=0)"
VOID = {"meta", "link", "img", "wbr"}


_BREAK = " <wbr> "


class Page(HTMLParser):
    """A parsed page: its tags, text and warnings, and the tags that are open."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words, self.open, self.warnings = [], [], [], set()
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)
        self.close()
        self.text = " ".join(" ".join(self.words).replace(_BREAK, "").split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "wbr":
            self.words.append("<wbr>")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)
        if self.open[-1:] == ["strong"]:
            self.warnings.add(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def linear(cv=2, **params):
    pipeline = make_pipeline(FlattenImages(), LogisticRegression(max_iter=5000))
    return KFoldEnsembleClassifier(pipeline, cv=cv, random_state=0, **params)


@pytest.fixture(scope="module")
def hostile(cells):
    """An ensemble, and images with labels and names that contain markup."""
    y = np.array(HOSTILE)[np.unique(cells.target, return_inverse=True)[1]]
    names = [f"/data/<b>{k}</style>\udcff.png" for k in range(len(y))]
    return linear().fit(cells.images, y), cells.images, y, names


@pytest.fixture(scope="module")
def networks(cells):
    ensemble = make_cells(cv=2, epochs=1, random_state=0)
    return ensemble.fit(cells.images, cells.target)


@pytest.fixture(scope="module")
def pages(networks, hostile, cells, tmp_path_factory):
    """Folder with training and evaluation reports of networks and other members."""
    folder = tmp_path_factory.mktemp("reports")
    ensemble, X, y, names = hostile
    for kind, write, call in (
        ("training", write_training_report, {"recipe_call": RECIPE_CALL}),
        ("evaluation", write_evaluation_report, {"model_file": "cells.joblib"}),
    ):
        path = folder / f"networks-{kind}.html"
        write(path, networks, cells.images, cells.target, command="skwbc 'a b'", **call)
        write(folder / f"hostile-{kind}.html", ensemble, X, y, names=names)
    return folder


FOUR = [
    f"{a}-{b}.html" for a in ("networks", "hostile") for b in ("training", "evaluation")
]


@pytest.mark.parametrize("name", FOUR)
def test_page_is_complete_accessible_and_loads_nothing(pages, name):
    page = Page(pages / name)
    assert page.open == []
    assert len(page.html) < 3e6
    assert page.all("html") == [{"lang": "en"}]
    assert "width=device-width" in page.html
    for tag in ("main", "nav", "header", "footer", "title", "h1"):
        assert len(page.all(tag)) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert max(np.diff(levels)) == 1
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in page.tags:
        assert attrs.get("aria-labelledby", ids[0]) in ids
        href = attrs.get("href", "data:")
        assert href.startswith("data:") or href[1:] in ids
        assert attrs.get("src", "data:image/").startswith("data:image/")
        assert not any(key.startswith("on") for key in attrs)
    assert not re.search(r"url\(|@import|<script", page.html)
    assert all(image["alt"] for image in page.all("img"))
    assert all(cell["scope"] in ("row", "col") for cell in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) > 1
    assert "Not shown" not in page.text


def test_contents_of_a_training_report(pages, networks, cells):
    page = Page(pages / "networks-training.html")
    for word in (
        "24 images of 3 classes: eosinophil, monocyte, neutrophil",
        f"Out-of-fold accuracy {networks.oof_score_:.3f}",
        "eosinophil 8 33% 4 4",
        "skwbc 'a b'",
        RECIPE_CALL,
        "build_compact_cnn",
        "scikit-learn",
        "tensorflow",
        "The seed is 0",
        "Most uncertain predictions",
    ):
        assert word in page.text
    for row in training_table(networks):
        for name in ("score", "loss", "val_accuracy"):
            assert f"{row[name]:.3f}" in page.text
    alts = " ".join(image["alt"] for image in page.all("img"))
    for word in (
        "Learning curves of 2 folds. The mean training loss",
        "Confusion matrix",
        "expected calibration error",
        "of 2 members predict different classes",
        "Class activation maps of 8 images",
        "random augmentations",
    ):
        assert word in alts


def test_contents_of_an_evaluation_report(pages, hostile):
    ensemble, X, y, _ = hostile
    page = Page(pages / "hostile-evaluation.html")
    right = int((ensemble.predict(X) == y).sum())
    assert f"Accuracy {right / 24:.3f} {right} of 24; 95% interval" in page.text
    assert "All predictions are correct." in page.text
    # Labels and names are shown as text, even if they look like markup.
    assert all(label in page.text for label in HOSTILE[:2])
    assert HOSTILE[2].replace("\x1b\r\x07", r"\x1b\x0d\x07") in page.text
    assert "<b>3</style>\\udcff.png" in page.text


def test_an_evaluation_names_the_file_of_the_model(pages):
    assert "load_model('cells.joblib')" in Page(pages / "networks-evaluation.html").text


@pytest.mark.parametrize("name", FOUR)
def test_labels_of_axes_are_inside_of_the_figures(pages, name):
    figures = re.findall(
        r'src="data:image/svg\+xml;base64,([^"]+)"', (pages / name).read_text()
    )
    turned = r"font-size: ?([\d.]+)px|font: ([\d.]+)px"
    n_labels = 0
    for figure in map(base64.b64decode, figures):
        place = r'transform="(?:translate\(|rotate\(-90 )([\d.]+)'
        text = rf'<text style="([^"]*)"[^>]*{place}'
        for style, x in re.findall(text, figure.decode()):
            size = float(next(filter(None, re.search(turned, style).groups())))
            n_labels += 1
            assert float(x) > size
    assert n_labels


@pytest.mark.parametrize("kind", ["networks", "hostile"])
def test_python_snippet_repeats_the_training(
    pages, networks, hostile, cells, kind, tmp_path, monkeypatch
):
    """Without a call of a recipe, the snippet clones the saved model."""
    ensemble, X, y, _ = hostile
    if kind == "networks":
        ensemble, X, y = networks, cells.images, cells.target
    page = Page(pages / f"{kind}-training.html")
    snippet = page.words[page.words.index("In Python") :]
    code = next(text for text in snippet if "model.fit" in text)
    save_model(ensemble, tmp_path / "m.joblib")
    monkeypatch.chdir(tmp_path)
    names = {"X": X, "y": y}
    exec(code, names)
    np.testing.assert_array_equal(names["model"].oof_proba_, ensemble.oof_proba_)


@pytest.mark.parametrize("name", FOUR)
def test_browser_shows_the_page_without_errors(pages, name, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if browser is None:
        pytest.skip("there is no chromium on the path")
    wrapper = pages / f"narrow-{name}"
    wrapper.write_text(
        f"<iframe src={name} style='width:360px;height:800px;border:0'></iframe>"
        "<p></p><script>onload = () => {"
        "const page = document.querySelector('iframe').contentDocument;"
        "const whole = page.documentElement;"
        "const bad = [...page.images].filter(image => !image.naturalWidth).length;"
        "document.querySelector('p').textContent ="
        "`${whole.scrollWidth} of ${whole.clientWidth}, ${page.images.length} images, "
        "${bad} broken`;}</script>"
    )
    run = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update",
         "--disable-sync", f"--user-data-dir={tmp_path}", "--enable-logging=stderr",
         "--v=0", "--hide-scrollbars", "--allow-file-access-from-files",
         "--dump-dom", wrapper.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert [line for line in run.stderr.splitlines() if "CONSOLE" in line] == []
    n_images = len(Page(pages / name).all("img"))
    assert f"<p>360 of 360, {n_images} images, 0 broken</p>" in run.stdout


def twice(X, y):
    """Append image 0 flipped, and image 1 with a different label."""
    return np.concatenate([X, X[:1, ::-1], X[1:2]]), np.append(y, [y[0], y[2]])


def watching():
    trees = HistGradientBoostingClassifier(
        max_iter=3, early_stopping=True, random_state=0
    )
    pipeline = make_pipeline(FlattenImages(), trees)
    return KFoldEnsembleClassifier(pipeline, cv=2, random_state=0)


class Learner(DummyClassifier):
    """Guesses, with the history of a network that was evaluated at some epochs."""

    history_ = {"loss": [3.0, 2.0, 1.0], "val_loss": [4.0, np.nan, 2.5]}
    best_epoch_ = 3
    patience, restore_best_weights = None, False


def test_learning_curves_of_folds_evaluated_at_some_epochs(cells, tmp_path):
    ensemble = KFoldEnsembleClassifier(Learner(), cv=2, random_state=0)
    X, y = cells.images, cells.target
    write_training_report(tmp_path / "r.html", ensemble.fit(X, y), X, y)
    page = Page(tmp_path / "r.html")
    (alt,) = (i["alt"] for i in page.all("img") if "Learning curves" in i["alt"])
    assert "mean training loss changes from 3.000 to 1.000." in alt
    assert "mean held-out loss changes from 4.000 to 2.500." in alt
    assert "Learning curves: accuracy Not shown: ValueError: metric='acc" in page.text


FAILED, CONTRADICTED = "Members that failed", "Most labels are contradicted"
OPTIMISTIC = "Out-of-fold scores are optimistic"
LEAK, TWO_LABELS = (
    "Near-duplicate images across folds",
    "The same image with two labels",
)
FEW, IMBALANCE = "Classes with fewer than 10 images", "Classes of very different size"
FEW_IN_FOLD = "Folds with few held-out images of a class"
NONE_IN_FOLD = "Folds with no training images of a class"
CASES = {
    "guessing": (
        lambda X, y: (
            KFoldEnsembleClassifier(DummyClassifier(), cv=2, random_state=0),
            X,
            y,
        ),
        {FAILED, FEW},
    ),
    "watching": (lambda X, y: (watching(), X[:, ::2, ::2], y), {OPTIMISTIC, FEW}),
    "twice": (
        lambda X, y: (
            linear([(range(24), [24, 25]), (range(12, 26), range(12))]),
            *twice(X, y),
        ),
        {LEAK, TWO_LABELS, FEW, FEW_IN_FOLD},
    ),
    "one class a fold": (
        lambda X, y: (linear(KFold(3)), X[np.argsort(y)], np.sort(y)),
        {FEW, FEW_IN_FOLD, NONE_IN_FOLD, CONTRADICTED},
    ),
    "imbalance": (
        lambda X, y: (linear(), *parted(X, np.where(np.arange(24) < 4, "a", "b"))),
        {IMBALANCE, FEW},
    ),
    "nothing": (
        lambda X, y: (linear(), *parted(X, np.where(np.arange(24) < 12, "a", "b"))),
        set(),
    ),
}


def parted(X, y):
    """Make one class far brighter than the other."""
    return X // 4 + np.where(y == "a", 0, 128).astype("uint8")[:, None, None, None], y


@pytest.mark.filterwarnings("ignore:Some members were not trained on all classes")
@pytest.mark.parametrize("case", CASES)
def test_warnings(case, cells, tmp_path):
    make, titles = CASES[case]
    ensemble, X, y = make(cells.images, cells.target)
    write_training_report(tmp_path / "r.html", ensemble.fit(X, y), X, y)
    page = Page(tmp_path / "r.html")
    # So few cells may cause these two warnings as well.
    assert titles <= page.warnings <= titles | {FAILED, CONTRADICTED}
    assert ("Warnings None." in page.text) == (not page.warnings)


RARE = np.array(["a"] * 21 + ["b"] * 2 + ["c"])


@pytest.mark.filterwarnings("ignore:Classes with fewer samples than folds")
@pytest.mark.filterwarnings("ignore:Some members were not trained on all classes")
@pytest.mark.parametrize(
    ("cv", "y", "groups", "advice"),
    [
        (3, RARE, None, "More images or fewer folds would help."),
        (3, RARE, np.arange(24) // 2, "More images from other groups or fewer folds"),
        (KFold(3), np.sort(np.arange(24) % 3), None, "folds or stratified folds would"),
    ],
)
def test_advice_fits_the_folds(cv, y, groups, advice, cells, tmp_path):
    ensemble = linear(cv).fit(cells.images, y, groups=groups)
    path = tmp_path / "r.html"
    write_training_report(path, ensemble, cells.images, y, groups=groups)
    page = Page(path)
    assert advice in page.text
    assert ("stratified folds would help" in page.text) == isinstance(cv, KFold)


def test_lazy_files_give_the_same_report(hostile, cells, tmp_path):
    ensemble, X, y, _ = hostile
    for k, image in enumerate(X):
        cv2.imwrite(str(tmp_path / f"{k}.png"), image[..., ::-1])
    lazy = ImageFiles([tmp_path / f"{k}.png" for k in range(24)], (24, 24))
    names = [f"{k}.png" for k in range(24)]
    for write in (write_training_report, write_evaluation_report):
        write(tmp_path / "lazy.html", ensemble, lazy, y)
        write(tmp_path / "array.html", ensemble, X, y, names=names)
        pages = [Page(tmp_path / f"{name}.html") for name in ("lazy", "array")]
        images = [page.all("img") for page in pages]
        assert images[0] == images[1]
        assert any(image["alt"].endswith(": 0.png") for image in images[0])


def test_onnx_is_evaluated_without_tensorflow(hostile, tmp_path):
    ensemble, X, y, _ = hostile
    to_onnx(ensemble, tmp_path / "m.onnx")
    np.savez(tmp_path / "cells.npz", X=X, y=y)
    code = """
import sys
import numpy as np
from skwbc.export import OnnxClassifier
from skwbc.report import write_evaluation_report
cells = np.load("cells.npz")
write_evaluation_report("r.html", OnnxClassifier("m.onnx"), cells["X"], cells["y"])
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    page = Page(tmp_path / "r.html")
    assert "OnnxClassifier" in page.text
    assert "Disagreement of members" in page.text
    assert "Not shown" not in page.text


def test_images_on_other_scales_look_the_same(cells, tmp_path):
    y = np.repeat(["a", "b"], 12)
    grey = cells.images[..., :1]
    sources = []
    for X in (grey, grey.astype("uint16") * 257, grey / 255.0):
        write_evaluation_report(tmp_path / "r.html", linear().fit(X, y), X, y)
        images = Page(tmp_path / "r.html").all("img")
        sources.append(
            [i["src"] for i in images if i["alt"].startswith(("a: ", "b: "))]
        )
    assert len(set(sources[0])) == 16
    assert sources[0] == sources[1] == sources[2]


def test_an_evaluation_predicts_once_and_returns_the_scores(hostile, tmp_path):
    ensemble, X, y, _ = hostile
    calls = []

    class Watched(KFoldEnsembleClassifier):
        def _answer_in_chunks(self, X):
            calls.append(len(X))
            return super()._answer_in_chunks(X)

    watched = Watched.from_cross_validate({"estimator": ensemble.estimators_})
    wrong = np.roll(y, 1)
    scores = write_evaluation_report(tmp_path / "r.html", watched, X, wrong)
    assert calls == [len(X)]
    assert scores == inspection.evaluate(watched, X, wrong)


def test_a_figure_that_fails_is_replaced_by_the_reason(hostile, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of ink")

    monkeypatch.setattr(inspection.ReliabilityDisplay, "from_predictions", fail)
    ensemble, X, y, _ = hostile
    write_training_report(tmp_path / "r.html", ensemble, X, y)
    page = Page(tmp_path / "r.html")
    assert "Reliability Not shown: RuntimeError: out of ink" in page.text
    assert "Confusion matrix" in page.text


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_missing_packages_are_named(hostile, module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    for write in (write_training_report, write_evaluation_report):
        with pytest.raises(ImportError, match=rf"{module}.*'skwbc\[report\]'"):
            write(tmp_path / "r.html", *hostile[:3])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"X": np.zeros((24, 5))},
            ValueError,
            "Reports are for images; for other data",
        ),
        ({"X": np.zeros((23, 24, 24, 3))}, ValueError, "inconsistent numbers"),
        ({"y": ["other"] * 24}, ValueError, "the labels ['other']"),
        ({"names": ["a"]}, ValueError, "1 names for 24 samples"),
        ({"estimator": linear()}, NotFittedError, "not fitted yet"),
        ({"path": "no/r.html"}, FileNotFoundError, "Create the folder first"),
    ],
)
def test_wrong_input(hostile, change, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ensemble, X, y, _ = hostile
    arguments = {"path": "r.html", "estimator": ensemble, "X": X, "y": y} | change
    for write in (write_training_report, write_evaluation_report):
        with pytest.raises(error, match=re.escape(message)):
            write(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_ensembles_that_were_not_fitted_on_these_images(hostile, tmp_path):
    ensemble, X, y, _ = hostile
    with pytest.raises(ValueError, match="X has 23 entries.* fitted on 24 samples"):
        write_training_report(tmp_path / "r.html", ensemble, X[1:], y[1:])
    results = cross_validate(ensemble.estimator, X, y, cv=2, return_estimator=True)
    made = KFoldEnsembleClassifier.from_cross_validate(results)
    with pytest.raises(ValueError, match="no out-of-fold probabilities"):
        write_training_report(tmp_path / "r.html", made, X, y)
    assert list(tmp_path.iterdir()) == []
