"""Time training and predicting against the same work in plain Keras.

    pip install 'skwbc[plot]'
    python benchmarks/speed.py

Baseline (``plain_keras.py``) and skwbc run in turn. The table has the median of the
rounds, the fastest and the slowest, and the median of each round's ratio. Finally draws
where the time of an epoch goes: docs/images/epoch.png. Unless a row says otherwise,
times are for 90 synthetic cells of 100 x 100 pixels, 72 for training and 18 held out.
`--data` is a folder with real cells in the article's format; without it, the row that
needs them is left out.
"""

import argparse
import contextlib
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import plain_keras
from _common import (
    HEADER,
    IMAGES,
    describe_machine,
    in_turn,
    network_pipeline,
    print_row,
)
from _predicting import bare_passes, computed_anew, to_predict

from skwbc import make_cell_classifier
from skwbc._utils.progress import listening
from skwbc.cnn._batches import Batch, Batches
from skwbc.cnn._training import trainer_for
from skwbc.datasets import load_raw_images, make_blood_cells

EPOCHS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--recipe-rounds", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    print(describe_machine(), end="\n\n")
    print(HEADER, flush=True)
    X, y = make_blood_cells(30, random_state=0)
    compare_epochs(X, y, arguments.rounds)
    compare_prediction(X, y, arguments.rounds)
    files = arguments.data / "article"
    if arguments.recipe_rounds:
        compare_recipes(X, y, "90 synthetic cells", arguments.recipe_rounds, jobs=True)
    if arguments.recipe_rounds and files.is_dir():
        X, y = load_raw_images(
            files / "blood_total.raw", files / "blood_total_label.txt", return_X_y=True
        )
        compare_recipes(X, y, "76 real cells", arguments.recipe_rounds)
    draw_parts(make_blood_cells(30, random_state=0)[0])


def compare_epochs(X, y, rounds: int) -> None:
    """Compare epochs of the article's recipe, except the first, which compiles."""
    rows = np.random.default_rng(0).permutation(len(X))
    train, held_out = rows[18:], rows[:18]
    prepared, codes = plain_keras.prepare(X), plain_keras.one_hot(y)
    firsts, laters = {}, {}

    def baseline() -> float:
        _, clock = plain_keras.fit_member(
            prepared, codes, train, held_out, epochs=EPOCHS
        )
        seconds = np.subtract(clock.ended, clock.begun)
        return note(baseline, seconds)

    def skwbc() -> float:
        return note(skwbc, np.array(time_epochs("article", X, y, train, held_out)))

    def note(who, seconds) -> float:
        firsts.setdefault(who, []).append(seconds[0])
        laters.setdefault(who, []).append(np.median(seconds[1:]))
        return laters[who][-1]

    in_turn({"keras": baseline, "skwbc": skwbc}, rounds)
    print_row(
        "epoch, article's recipe",
        np.array(laters[baseline]),
        np.array(laters[skwbc]),
        "0.45",
    )
    if rounds > 1:
        # Only the first member of a process compiles the network.
        print_row(
            "first epoch of a later member",
            np.array(firsts[baseline][1:]),
            np.array(firsts[skwbc][1:]),
        )


def time_epochs(recipe: str, X, y, train, held_out) -> list[float]:
    """Return the seconds of each epoch of one member."""
    recipe = make_cell_classifier(recipe, epochs=EPOCHS, random_state=0)
    member = network_pipeline(recipe.estimator)
    augmenter, cnn = member["augmenter"], member["cnn"].set_params(patience=None)
    images = augmenter.fit_transform(X[train])
    times = []

    def listen(event, **details) -> None:
        times.append(time.perf_counter())

    with listening(listen):
        start = time.perf_counter()
        cnn.fit(
            images, y[train], X_val=augmenter.transform(X[held_out]), y_val=y[held_out]
        )
    return np.diff([start, *times]).tolist()


def compare_prediction(X, y, rounds: int) -> None:
    one, many = X[:1], np.resize(X, (1000, *X.shape[1:]))
    for title, clf in to_predict():
        clf.fit(X, y)
        members = [network_pipeline(member) for member in clf.estimators_]
        networks = [member["cnn"].model_ for member in members]
        prepared = members[0]["augmenter"].transform(one)

        def by_keras(networks=networks, prepared=prepared) -> None:
            for network in networks:
                network.predict(prepared, verbose=0)

        contestants = {
            "predict": by_keras,
            "one": functools.partial(discard, clf.predict_proba, one),
            "bare": bare_passes(clf, many),
            "many": functools.partial(discard, clf.predict_proba, many),
        }
        with computed_anew():
            in_turn(contestants, 1)
            seconds = in_turn(contestants, rounds)
        what = f"{title}, five members, "
        print_row(
            what + "one image / `model.predict`",
            seconds["predict"],
            seconds["one"],
            "0.1",
        )
        print_row(
            what + "1,000 images / bare passes",
            seconds["bare"],
            seconds["many"],
            "1.15",
        )


def compare_recipes(X, y, title: str, rounds: int, jobs: bool = False) -> None:
    def fit(n_jobs=None) -> None:
        make_cell_classifier(n_jobs=n_jobs, random_state=0).fit(X, y)

    contestants = {
        "keras": functools.partial(discard, plain_keras.fit_folds, X, y),
        "skwbc": fit,
    }
    if jobs:
        start = time.perf_counter()
        make_cell_classifier(n_jobs=2, cv=2, epochs=1, random_state=0).fit(X, y)
        started = time.perf_counter() - start
        contestants["jobs"] = functools.partial(fit, 2)
    seconds = in_turn(contestants, rounds)
    print_row(
        f"default recipe, whole, {title} / Keras' 5 x 50 epochs",
        seconds["keras"],
        seconds["skwbc"],
        "1",
    )
    if jobs:
        print_row(
            "the same with n_jobs=2 / n_jobs=1", seconds["skwbc"], seconds["jobs"], "1"
        )
        print_row("start of two workers, once", None, np.array([started]))


def discard(function, *arguments) -> None:
    function(*arguments)


def draw_parts(X) -> None:
    """Draw where the time of an epoch goes; each step is timed separately."""
    import matplotlib.pyplot as plt

    y = np.arange(len(X)) % 3
    train, held_out = np.arange(18, 90), np.arange(18)
    prepared, codes = plain_keras.prepare(X), plain_keras.one_hot(y)
    data = X, y, train, held_out
    clocks = []

    def by_keras() -> float:
        _, clock = plain_keras.fit_member(
            prepared, codes, train, held_out, epochs=EPOCHS
        )
        clocks.append(clock)
        return float(np.median(np.subtract(clock.ended, clock.begun)[1:]))

    titles = ["plain Keras,\narticle", "skwbc,\narticle", "skwbc,\ncompact"]
    wholes = [by_keras, *(lambda recipe=recipe: float(
        np.median(time_epochs(recipe, *data)[1:])
    ) for recipe in ("article", "compact"))]  # fmt: skip
    whole = in_turn(dict(zip(titles, wholes, strict=True)), 5)
    with contextlib.ExitStack() as stack:
        steps = dict(zip(titles, (
            steps_of_keras(prepared[train], codes[train]),
            steps_of_skwbc("article", *data, stack),
            steps_of_skwbc("compact", *data, stack),
        ), strict=True))  # fmt: skip
        runs = {
            (title, name): functools.partial(discard, run)
            for title in titles
            for name, run in steps[title].items()
        }
        in_turn(runs, 1)
        seconds = {key: np.median(times) for key, times in in_turn(runs, 9).items()}
    ends = [np.subtract(clock.ended, clock.trained)[1:] for clock in clocks]
    seconds[titles[0], "evaluation"] = np.median(ends)
    names = ["augmentation", "training steps", "evaluation", "the rest"]
    for title in titles:
        measured = sum(seconds[title, name] for name in names[:-1])
        seconds[title, "the rest"] = max(0.0, np.median(whole[title]) - measured)
    print("\nWhere the time of an epoch goes, ms\n")
    print(f"| | {' | '.join(names)} | whole |\n|{'---|' * (len(names) + 2)}")
    for title in titles:
        values = " | ".join(f"{seconds[title, name] * 1000:.0f}" for name in names)
        print(
            f"| {title.replace(chr(10), ' ')} | {values} | "
            f"{np.median(whole[title]) * 1000:.0f} |"
        )
    figure, axes = plt.subplots(figsize=(8, 2.6), layout="constrained")
    left = np.zeros(len(titles))
    for name in names:
        widths = np.array([seconds[title, name] * 1000 for title in titles])
        axes.barh(titles, widths, left=left, height=0.6, label=name)
        left += widths
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds per epoch (72 images for training, 18 held out)")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(IMAGES / "epoch.png", dpi=110)


Steps = dict[str, Callable[[], object]]


def steps_of_keras(X, codes) -> Steps:
    network = plain_keras.build_network()
    flow = plain_keras.make_generator().flow(X, codes, 32)
    batches = [flow[number] for number in range(len(flow))]
    return {
        "augmentation": lambda: [flow[number] for number in range(len(flow))],
        "training steps": lambda: [network.train_on_batch(*b) for b in batches],
    }


def steps_of_skwbc(recipe: str, X, y, train, held_out, stack) -> Steps:
    member = network_pipeline(make_cell_classifier(recipe, random_state=0).estimator)
    augmenter, cnn = member["augmenter"], member["cnn"]
    codes = plain_keras.one_hot(y)
    batches = Batches(
        augmenter.fit_transform(X[train]), codes[train], None, size=cnn.batch_size
    )
    fixed = list(batches.shuffled(0))
    kept = [Batch(augmenter.transform(X[held_out]), codes[held_out], None)]
    network = cnn.model({"image_shape_": X.shape[1:], "n_classes_": 3})
    optimizer = keras.optimizers.get(cnn.optimizer)
    network.compile(optimizer, cnn.loss, metrics=["accuracy"])
    trainer = stack.enter_context(trainer_for(network))
    return {
        "augmentation": lambda: list(batches.shuffled(0)),
        "training steps": lambda: trainer.train(fixed),
        "evaluation": lambda: trainer.evaluate(kept),
    }


if __name__ == "__main__":
    main()
