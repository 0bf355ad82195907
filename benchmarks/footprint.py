"""Measure the costs of skwbc besides training: start-up, files, memory of fits.

    pip install 'skwbc[plot]'
    python benchmarks/footprint.py

Every measurement uses separate processes, baseline and skwbc in turn. The baseline is
the unavoidable part of scikit-learn for imports, the five networks saved by Keras for
files, and scikeras with the article's network for repeated fits. Memory is read from
/proc, so that row is available on Linux only.
"""

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _common import (
    HEADER,
    describe_machine,
    in_turn,
    network_pipeline,
    print_row,
    resident,
    run_again,
    weight,
)

IMPORTS = [
    ("import sklearn.base", "import skwbc", "1.1"),
    ("import sklearn.ensemble", "from skwbc import KFoldEnsembleClassifier", "1.15"),
]
FITS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        name, *rest = arguments.task
        print(TASKS[name](*rest))
        return
    print(describe_machine(), end="\n\n")
    print(HEADER, flush=True)
    for baseline, statement, goal in IMPORTS:
        what = f"`{statement}` / `{baseline}`"
        compare(what, "import", baseline, statement, goal, arguments)
    what = "`skwbc --help` / `import tensorflow`"
    compare(what, "command", "TensorFlow", "help", "-", arguments, 3)
    with tempfile.TemporaryDirectory() as folder:
        for recipe, goal in (("article", "1.05"), ("compact", "1.2")):
            sizes = run_again("--task", "save", recipe, folder).split()
            weights, file = (np.array([float(size)]) for size in sizes)
            what = f"joblib file, {recipe}, five members / their float32 weights"
            print_row(what, weights, file, goal, "MB")
            compare(f"load it and predict an image, {recipe} / five .keras files",
                    "load", f"{folder}/{recipe}.keras", f"{folder}/{recipe}.joblib",
                    "-", arguments, 3)  # fmt: skip
            compare(f"the same in a fresh process, {recipe}",
                    "process", f"{folder}/{recipe}.keras", f"{folder}/{recipe}.joblib",
                    "-", arguments, 3)  # fmt: skip
    results = {
        who: np.array(run_again("--task", "fits", who).split(), float)
        for who in ("scikeras", "skwbc")
    }
    for number, name in enumerate(("memory per fit", "memory at the end")):
        baseline, skwbc = (values[number : number + 1] for values in results.values())
        what = f"{name}, GridSearchCV of {FITS} article networks / scikeras"
        print_row(what, baseline, skwbc, "5 MB" if number == 0 else "-", "MB")


def compare(what, task, baseline, skwbc, goal, arguments, rounds=None) -> None:
    contestants = {
        name: functools.partial(run_task, task, detail)
        for name, detail in (("baseline", baseline), ("skwbc", skwbc))
    }
    # The first run fills the file cache of the system.
    in_turn(contestants, 1)
    seconds = in_turn(contestants, rounds or arguments.rounds)
    print_row(what, seconds["baseline"], seconds["skwbc"], goal)


def run_task(task: str, detail: str) -> float:
    """Run a task in a separate process; return the time that it reports."""
    return float(run_again("--task", task, detail))


def time_import(statement: str) -> float:
    return float(
        _python(f"""
import time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
""")
    )


def _python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def time_command(what: str) -> float:
    """Time `skwbc --help`, or TensorFlow's import, as a whole process."""
    start = time.perf_counter()
    if what == "help":
        _python("from skwbc.cli import main; main(['--help'])")
    else:
        _python("import tensorflow")
    return time.perf_counter() - start


def save(recipe: str, folder: str) -> str:
    """Save a fitted ensemble and its networks; return the sizes of weights and file."""
    import joblib

    from skwbc import make_cell_classifier
    from skwbc.datasets import make_blood_cells

    X, y = make_blood_cells(10, random_state=0)
    clf = make_cell_classifier(recipe, epochs=1, random_state=0).fit(X, y)
    file = Path(folder) / f"{recipe}.joblib"
    joblib.dump(clf, file)
    networks = [network_pipeline(member)["cnn"].model_ for member in clf.estimators_]
    keras_files = Path(folder) / f"{recipe}.keras"
    keras_files.mkdir()
    for number, network in enumerate(networks):
        network.save(keras_files / f"{number}.keras")
    return f"{weight(clf)} {file.stat().st_size / 1e6}"


def time_load(path: str) -> float:
    """Time loading and the first prediction, without imports."""
    if path.endswith(".keras"):
        import keras
    else:
        import skwbc.cnn  # noqa: F401
    start = time.perf_counter()
    if path.endswith(".keras"):
        networks = [keras.models.load_model(file) for file in Path(path).iterdir()]
        image = np.zeros((1, 100, 100, 3), np.float32)
        np.mean([network.predict(image, verbose=0) for network in networks], axis=0)
    else:
        from skwbc import load_model

        load_model(path).predict_proba(np.zeros((1, 100, 100, 3), np.uint8))
    return time.perf_counter() - start


def time_process(path: str) -> float:
    """Time a whole process that loads a model and predicts one image."""
    start = time.perf_counter()
    run_again("--task", "load", path)
    return time.perf_counter() - start


def fit_many(who: str) -> str:
    """Return the MB that each fit after the third adds, and the final memory."""
    from sklearn.model_selection import GridSearchCV

    from skwbc.datasets import make_blood_cells

    X, y = make_blood_cells(10, random_state=0)
    if who == "scikeras":
        import plain_keras
        from scikeras.wrappers import KerasClassifier

        def build():
            return plain_keras.build_network()

        X = plain_keras.prepare(X)
        model = KerasClassifier(
            build, loss="categorical_crossentropy", epochs=1, verbose=0
        )
        grid = {"batch_size": list(range(8, 8 + FITS // 3))}
    else:
        from skwbc import make_cell_classifier

        model = make_cell_classifier("article", epochs=1, random_state=0).estimator
        grid = {"cnn__batch_size": list(range(8, 8 + FITS // 3))}
    sizes = []

    def score(estimator, X, y) -> float:
        value = np.mean(estimator.predict(X) == y)
        sizes.append(resident())
        return float(value)

    GridSearchCV(model, grid, cv=3, scoring=score, refit=False).fit(X, y)
    assert len(sizes) == FITS
    slope = np.polyfit(np.arange(FITS - 3), sizes[3:], 1)[0]
    return f"{slope} {sizes[-1]}"


TASKS = {
    "import": time_import,
    "command": time_command,
    "save": save,
    "load": time_load,
    "process": time_process,
    "fits": fit_many,
}

if __name__ == "__main__":
    main()
