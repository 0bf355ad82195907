"""Run every code block of README and documentation, page by page.

Each page has its own namespace and a fresh folder with cells. Only slow operations are
shortened: networks train for one epoch; unless a page sets them, images are 32 pixels
wide and the recipes have two folds; at most 8 cells per class are drawn; members are
fitted one after the other; a network is converted to ONNX only once.
"""

import csv
import functools
import glob
import re
import shlex
import shutil
import sys
import types
import warnings
from importlib.util import find_spec
from pathlib import Path

import cv2
import joblib
import numpy as np
import pytest
from code_blocks import ROOT, complaint, pages_to_check, pages_to_run

import skwbc
from skwbc import cli, datasets

SIDE = 32
PAGES = pages_to_run()
CLASSES = ("Eosinophil", "Monocyte", "Neutrophil")
MORE_CLASSES = ("Basophil", *CLASSES, "Lymphocyte")


def draw(n, seed, classes=CLASSES):
    lower = [name.lower() for name in classes]
    images, target = datasets.make_blood_cells(
        n, classes=lower, image_size=(SIDE, SIDE), random_state=seed
    )
    return images, np.char.capitalize(target)


def write_raw(images, path):
    path.write_bytes(images.transpose(0, 3, 1, 2).tobytes())


@pytest.fixture(scope="module")
def shortened():
    """Shorten slow operations."""
    with pytest.MonkeyPatch.context() as patch:
        # Loaded here, because the tests of commands do not need Keras.
        fit = skwbc.CNNClassifier.fit

        @functools.wraps(fit)
        def fit_briefly(self, *args, **params):
            epochs, self.epochs = self.epochs, 1
            try:
                return fit(self, *args, **params)
            finally:
                self.epochs = epochs

        patch.setattr(skwbc.CNNClassifier, "fit", fit_briefly)
        small = {
            datasets.make_blood_cells: {"image_size": (SIDE, SIDE)},
            datasets.load_image_folder: {"image_size": (SIDE, SIDE)},
            datasets.load_raw_images: {"image_shape": (SIDE, SIDE, 3)},
            skwbc.make_cell_classifier: {"cv": 2},
        }
        for function, defaults in small.items():
            for name, value in defaults.items():
                patch.setitem(function.__wrapped__.__kwdefaults__, name, value)
        draw_cells = datasets.make_blood_cells

        def draw_few(n_per_class=30, **options):
            if isinstance(n_per_class, dict):
                few = {name: min(n, 8) for name, n in n_per_class.items()}
            else:
                few = min(n_per_class, 8)
            return draw_cells(few, **options)

        patch.setattr(datasets, "make_blood_cells", draw_few)
        if find_spec("tf2onnx"):
            from skwbc.export import _estimators

            # All pages export the same frozen network.
            convert = functools.cache(_estimators._network_as_onnx)
            patch.setattr(_estimators, "_network_as_onnx", convert)
        with joblib.parallel_config(backend="sequential"):
            yield


@pytest.fixture(scope="module")
def template(shortened, tmp_path_factory):
    """Folder with cells and models; each page gets a copy of it."""
    top = tmp_path_factory.mktemp("pages")
    here = top / "project"
    images, target = draw(8, seed=0)
    datasets.save_image_folder(images, target, here / "cells")
    datasets.save_image_folder(*draw(4, seed=1), here / "apart")
    unknown, _ = draw(2, seed=2)
    datasets.save_image_folder(unknown, ["new"] * len(unknown), here)
    fields, _, _ = datasets.make_blood_smear(4, random_state=0)
    for name, few in {"fields": fields[:2], "new_fields": fields[2:]}.items():
        (here / name).mkdir()
        for k, field in enumerate(few):
            file = str(here / name / f"field_{k}.png")
            cv2.imwrite(file, cv2.cvtColor(field, cv2.COLOR_RGB2BGR))
    cells = datasets.load_image_folder(here / "cells")
    np.save(here / "cells.npy", cells.images)
    np.save(here / "labels.npy", cells.target.astype(str))
    with open(here / "cells.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["filename", "label", "slide"])
        for i, name in enumerate(cells.filenames):
            # The names that load_image_folder("cells") returns.
            name = Path(name).relative_to(here)
            table.writerow([name, cells.target[i], f"slide{i % 4 + 1}"])

    article = here / "article"
    (article / "test").mkdir(parents=True)
    write_raw(images, article / "blood_total.raw")
    codes = np.unique(target, return_inverse=True)[1]
    (article / "blood_total_label.txt").write_text("".join(map(str, codes)))
    test, target = draw(4, seed=3)
    for i, image in enumerate(test):
        write_raw(image[None], article / "test" / f"blood_{i + 1:02}.raw")
    codes = np.unique(target, return_inverse=True)[1]
    (article / "test_label.txt").write_text("".join(map(str, codes)))
    shutil.copytree(article, top / "shared" / "data" / "article")
    bccd = draw(8, 4, MORE_CLASSES)
    datasets.save_image_folder(*bccd, top / "shared" / "data" / "bccd")

    model = skwbc.make_cell_classifier(random_state=0)
    model.fit(cells.images, cells.target)
    for name in ("m.joblib", "model.joblib"):
        skwbc.save_model(model, here / name)
    return top


def run_command(words, capsys):
    """Run `skwbc`; only check the arguments of other commands."""
    if words[0] != "skwbc":
        assert complaint(words) is None, f"{' '.join(words)}: {complaint(words)}"
        return
    arguments = []
    for word in words[1:]:
        files = sorted(glob.glob(word)) if "*" in word else [word]
        assert files, f"{word}: no such files"
        arguments += files
    if arguments[0] == "train":
        for option, small in (("--image-size", SIDE), ("--folds", 2)):
            if option not in arguments:
                arguments += [option, str(small)]
    capsys.readouterr()
    code = cli.main(arguments)
    output = capsys.readouterr()
    assert code == 0, f"skwbc {' '.join(arguments)}\n{output.out}\n{output.err}"


@pytest.mark.filterwarnings("ignore:.* unlike the training samples:UserWarning")
@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.name) for p in PAGES if p.blocks],
)
def test_code_runs(page, template, tmp_path, monkeypatch, capsys):
    shutil.copytree(template, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy" / "project")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    # A module, so that the functions of a page can be pickled by name.
    module = types.ModuleType("page_of_the_documentation")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    try:
        for block in page.blocks:
            if block.language in ("sh", "console"):
                for words in block.commands:
                    if not block.not_run:
                        run_command(words, capsys)
            elif block.language == "python":
                # Blank lines, so that tracebacks have the line numbers of the page.
                source = "\n" * (block.line - 1) + block.text
                code = compile(source, str(page.path), "exec")
                if block.needs and find_spec(block.needs):
                    with warnings.catch_warnings():
                        # Those of other packages are their own.
                        warnings.simplefilter("ignore")
                        exec(code, vars(module))
                elif not (block.needs or block.not_run):
                    exec(code, vars(module))
    finally:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.name) for page in pages_to_check()]
)
def test_commands_are_up_to_date(page):
    for block in page.blocks:
        if block.language in ("sh", "console") and not block.not_run:
            for words in block.commands:
                if words[0] != "skwbc":
                    assert complaint(words) is None, f"{words}: {complaint(words)}"


def test_few_blocks_are_not_run():
    left_out = {
        page.name: sum(b.not_run is not None for b in page.blocks) for page in PAGES
    }
    # Its left column is code for Keras 1.
    del left_out["docs/coming_from_the_article.md"]
    assert max(left_out.values()) <= 2
    assert sum(left_out.values()) <= 5


@pytest.mark.parametrize(
    "line",
    [
        "make nothing",
        "pip install 'skwbc[nothing]'",
        "python benchmarks/nothing.py",
        "python benchmarks/speed.py --nothing",
        "nothing",
    ],
)
def test_commands_that_do_not_exist_are_noticed(line):
    assert complaint(shlex.split(line))


def test_languages_of_code_blocks_are_spelt_correctly():
    """A block with a misspelt language would never be run."""
    languages = {"", "python", "sh", "console", "text", "html", "json", "bibtex"}
    languages |= {"r", "java", "groovy"}
    for page in PAGES:
        for block in page.blocks:
            assert block.language in languages or block.language.startswith("{"), (
                f"{page.name}, line {block.line}: {block.language}"
            )


def public_names():
    """Return the qualified names of everything that users can import."""
    modules = [
        name
        for name in skwbc.__all__
        if isinstance(getattr(skwbc, name), types.ModuleType)
    ]
    names = {
        f"skwbc.{name}"
        for name in skwbc.__all__
        if name not in (*modules, "__version__")
    }
    in_root = {id(getattr(skwbc, name)) for name in skwbc.__all__}
    for name in modules:
        module = getattr(skwbc, name)
        # The reference lists a name once; the root package comes first.
        names |= {
            f"{module.__name__}.{public}"
            for public in module.__all__
            if id(getattr(module, public)) not in in_root
        }
    return names


def test_reference_is_complete():
    shown = set()
    for path in (ROOT / "docs" / "api").glob("*.md"):
        shown |= set(re.findall(r"^ *(skwbc\.[\w.]+)$", path.read_text(), re.MULTILINE))
    assert shown == public_names()


def test_every_option_of_the_augmenter_is_explained():
    page = ROOT / "docs" / "coming_from_imagedatagenerator.md"
    missing = [
        name
        for name in skwbc.ImageAugmenter().get_params()
        if f"`{name}`" not in page.read_text(encoding="utf-8")
    ]
    assert missing == []
