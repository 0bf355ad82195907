"""Train the article's network with other packages: time, memory, size on disk.

    pip install skorch fastai torch torchvision
    python benchmarks/peers.py

Five members are each trained for ten epochs on four of five folds of 90 synthetic cells
of 100 x 100 pixels, in batches of 32, by RMSprop, on all cores. There is no early
stopping, so all packages do the same work. Images are rotated by up to 180 degrees and
flipped, each time by the means that users of a package have: Keras' generator for plain
Keras; Keras' layers in the network for scikeras, which takes only arrays, and for
bagging of it; torchvision for skorch; fastai's ``aug_transforms``. All interpolate
linearly. torchvision fills corners with zeros, the others with the nearest pixels.
scikit-learn's bagging takes only tables, so its images are flattened and its networks
begin with a Reshape. It draws four fifths of the rows for each member. By metadata
routing the member gets these only, and not all rows with weights of zero for the rest.

Each row runs in a process of its own, all rows in turn. Training is timed from arrays
of bytes to five members, prediction from 1,000 such images to the mean probabilities;
90 images are predicted before, because Keras compiles for the first. Memory is the
highest resident memory of the process until then, as a machine must have it; in
brackets, how far it is above the memory after the imports. Members are saved as the
package recommends, without the optimizer's state where it offers that. With
``--rounds`` a cell has the median.
"""

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from _common import describe_machine, peak, resident, run_again

EPOCHS, BATCH, MEMBERS, CLASSES, SIDE = 10, 32, 5, 3, 100
PARAMETERS = 10_250_179
COLUMNS = ("import, s", "train, s", "1,000 images, s", "memory, MB", "on disk, MB")


class Fitted(NamedTuple):
    """Members, the numbers of their parameters, and what is done with all of them."""

    parameters: list[int]
    predict: Callable[[np.ndarray], np.ndarray]
    save: Callable[[Path], object]


def by_folds(images, codes, prepare, fit, predict, save, parameters) -> Fitted:
    """Train members in turn by a package that trains one network."""
    X = prepare(images)
    members = [fit(X[rows], codes[rows]) for rows, _ in folds().split(codes)]

    def predict_all(images: np.ndarray) -> np.ndarray:
        X = prepare(images)
        return np.mean([predict(member, X) for member in members], axis=0)

    def save_all(folder: Path) -> None:
        for number, member in enumerate(members):
            save(member, folder / f"{number}.keras")

    return Fitted([parameters(member) for member in members], predict_all, save_all)


def folds() -> Any:
    return import_module("sklearn.model_selection").KFold(
        MEMBERS, shuffle=True, random_state=0
    )


def with_keras(images, codes) -> Fitted:
    import plain_keras

    def fit(X, codes):
        targets = np.eye(CLASSES, dtype="float32")[codes]
        network = plain_keras.build_network()
        flow = plain_keras.make_generator().flow(X, targets, batch_size=BATCH)
        network.fit(flow, epochs=EPOCHS, verbose=0)
        return network

    return by_folds(
        images,
        codes,
        prepare=plain_keras.prepare,
        fit=fit,
        predict=lambda network, X: network.predict(X, verbose=0),
        save=lambda network, path: network.save(path),
        parameters=lambda network: network.count_params(),
    )


def scikeras_classifier(flattened: bool = False) -> Any:
    from scikeras.wrappers import KerasClassifier

    return KerasClassifier(
        partial(augmenting_network, flattened),
        optimizer="rmsprop",
        loss="sparse_categorical_crossentropy",
        epochs=EPOCHS,
        batch_size=BATCH,
        verbose=0,
    )


def augmenting_network(flattened: bool) -> Any:
    import plain_keras
    from keras import Sequential, layers

    shape = (SIDE, SIDE, 3)
    turned = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.5, fill_mode="nearest"),
        plain_keras.build_network(),
    ]
    if flattened:
        flat = layers.Input((np.prod(shape),))
        return Sequential([flat, layers.Reshape(shape), *turned])
    return Sequential([layers.Input(shape), *turned])


def with_scikeras(images, codes) -> Fitted:
    return by_folds(
        images,
        codes,
        prepare=import_module("plain_keras").prepare,
        fit=lambda X, codes: scikeras_classifier().fit(X, codes),
        predict=lambda classifier, X: classifier.predict_proba(X),
        save=import_module("joblib").dump,
        parameters=lambda classifier: classifier.model_.count_params(),
    )


def with_bagging(images, codes) -> Fitted:
    import joblib
    import plain_keras
    from sklearn import config_context
    from sklearn.ensemble import BaggingClassifier

    def prepare(images):
        return plain_keras.prepare(images).reshape(len(images), -1)

    with config_context(enable_metadata_routing=True):
        bagging = BaggingClassifier(
            scikeras_classifier(flattened=True).set_fit_request(sample_weight=False),
            n_estimators=MEMBERS,
            max_samples=1 - 1 / MEMBERS,
            bootstrap=False,
        ).fit(prepare(images), codes)
    return Fitted(
        [each.model_.count_params() for each in bagging.estimators_],
        lambda images: bagging.predict_proba(prepare(images)),
        lambda folder: joblib.dump(bagging, folder / "bagging.joblib"),
    )


def torch_network() -> Any:
    """Return the network without softmax, which PyTorch has in its loss."""
    from torch import channels_last, nn

    network = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 2, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * (SIDE // 4) ** 2, 256), nn.ReLU()),
        *(nn.Dropout(0.5), nn.Linear(256, CLASSES)),
    )
    return network.to(memory_format=channels_last)  # the faster format


def centre(images: Any) -> Any:
    """Subtract from each image of a tensor its own mean; fastai passes labels, too."""
    if images.ndim < 4:
        return images
    return images - images.mean(dim=(1, 2, 3), keepdim=True)


def count_weights(network: Any) -> int:
    return sum(weights.numel() for weights in network.parameters())


def with_skorch(images, codes) -> Fitted:
    import torch
    from skorch import NeuralNetClassifier
    from skorch.dataset import Dataset
    from torchvision.transforms import InterpolationMode, v2

    rotation = v2.RandomRotation(180, InterpolationMode.BILINEAR)
    turn = v2.Compose([v2.RandomHorizontalFlip(), rotation])

    class Turned(Dataset):
        def transform(self, image, code):
            return turn(image), code

    def fit(X, codes):
        return NeuralNetClassifier(
            torch_network(),
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.RMSprop,
            optimizer__alpha=0.9,
            lr=0.001,
            max_epochs=EPOCHS,
            batch_size=BATCH,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
        ).fit(Turned(X, codes), None)

    return by_folds(
        images,
        codes,
        prepare=lambda x: centre(torch.tensor(x).permute(0, 3, 1, 2).float() / 255),
        fit=fit,
        predict=lambda net, X: net.predict_proba(X),
        save=lambda net, path: net.save_params(f_params=path),
        parameters=lambda net: count_weights(net.module_),
    )


def with_fastai(images, codes) -> Fitted:
    from fastai.vision import all as fastai

    turn = fastai.aug_transforms(
        max_rotate=180, p_affine=1, max_zoom=1, max_warp=0, max_lighting=0,
        pad_mode="border",
    )  # fmt: skip

    def fit(X, codes):
        block = fastai.DataBlock(
            (fastai.ImageBlock, fastai.CategoryBlock),
            getters=[fastai.ItemGetter(0), fastai.ItemGetter(1)],
            splitter=fastai.IndexSplitter([]),
            batch_tfms=[*turn, fastai.Transform(centre, order=200)],
        )
        items = list(zip(X, codes, strict=True))
        learner = fastai.Learner(
            block.dataloaders(items, bs=BATCH, drop_last=False, num_workers=0),
            torch_network(),
            opt_func=partial(fastai.RMSProp, sqr_mom=0.9),
            loss_func=fastai.CrossEntropyLossFlat(),
        )
        with learner.no_bar(), learner.no_logging():
            learner.fit(EPOCHS, 0.001)
        return learner

    def predict(learner, X):
        loader = learner.dls.test_dl([(image,) for image in X])
        with learner.no_bar():
            return learner.get_preds(dl=loader)[0].numpy()

    return by_folds(
        images,
        codes,
        prepare=lambda images: images,
        fit=fit,
        predict=predict,
        save=lambda learner, path: learner.export(path),
        parameters=lambda learner: count_weights(learner.model),
    )


def with_skwbc(images, codes, n_jobs: int) -> Fitted:
    from skwbc import make_cell_classifier, save_model

    ensemble = make_cell_classifier("article", cv=folds(), epochs=EPOCHS, n_jobs=n_jobs)
    ensemble.set_params(validation=False).fit(images, codes)
    return Fitted(
        [each["cnn"].model_.count_params() for each in ensemble.estimators_],
        ensemble.predict_proba,
        lambda folder: save_model(ensemble, folder / "ensemble.joblib"),
    )


# The modules that a row imports before training is timed, and its function.
ROWS: dict[str, tuple[str, Callable[..., Fitted]]] = {
    "plain Keras": ("plain_keras", with_keras),
    "scikeras": ("plain_keras scikeras.wrappers", with_scikeras),
    "scikit-learn's bagging of scikeras": (
        "plain_keras scikeras.wrappers sklearn.ensemble",
        with_bagging,
    ),
    "skorch with PyTorch": ("torch torchvision.transforms.v2 skorch", with_skorch),
    "fastai": ("fastai.vision.all", with_fastai),
    "skwbc, `n_jobs=1`": ("skwbc.recipes skwbc.cnn", partial(with_skwbc, n_jobs=1)),
    "skwbc, `n_jobs=-1`": ("skwbc.recipes skwbc.cnn", partial(with_skwbc, n_jobs=-1)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        row, folder = arguments.one
        print(json.dumps(measure(*ROWS[row], Path(folder))))
        return
    others = ("scikeras", "skorch", "torch", "torchvision", "fastai")
    versions = [f", {each} {version(each)}" for each in others if find_spec(each)]
    print(describe_machine(), *versions, sep="", end="\n\n")
    print(f"| | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}", flush=True)
    results: dict[str, list[dict[str, float]]] = {
        row: []
        for row in arguments.rows
        if all(find_spec(name.partition(".")[0]) for name in ROWS[row][0].split())
    }
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder))
        for _ in range(arguments.rounds):
            for row, runs in results.items():
                runs.append(json.loads(run_again("--one", row, folder)))
    for row in arguments.rows:
        print(f"| {row} | {' | '.join(cells(results.get(row, [])))} |")
    right = [f"{row} {runs[-1]['right']:.0f}" for row, runs in results.items()]
    print(f"\nParameters of a member: {PARAMETERS:,}. Training images recognised:")
    print(*right, sep="; ")


def cells(runs: list[dict[str, float]]) -> list[str]:
    if not runs:
        return ["not installed", *["-"] * (len(COLUMNS) - 1)]
    middle = {name: np.median([run[name] for run in runs]) for name in runs[0]}
    seconds = [f"{middle[name]:.1f}" for name in ("import", "train", "predict")]
    memory = f"{middle['memory']:,.0f} ({middle['above']:,.0f})"
    return [*seconds, memory, f"{middle['disk']:.0f}"]


def draw(folder: Path) -> None:
    """Write the images, so that a row need not import what draws them."""
    from skwbc.datasets import make_blood_cells

    images, labels = make_blood_cells(30, random_state=0)
    codes = np.unique(labels, return_inverse=True)[1]
    np.savez(folder / "cells", images=images, codes=codes)


def measure(modules: str, fit: Callable[..., Fitted], folder: Path) -> dict[str, float]:
    """Return what the table has of a row, and how many training images are right."""
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    for name in modules.split():
        import_module(name)
    seconds = {"import": time.perf_counter() - start}
    drawn = np.load(folder / "cells.npz")
    images, codes = drawn["images"], drawn["codes"]
    new = np.resize(images, (1000, *images.shape[1:]))
    before = resident()
    start = time.perf_counter()
    fitted = fit(images, codes)
    seconds["train"] = time.perf_counter() - start
    right = float(np.sum(fitted.predict(images).argmax(axis=1) == codes))
    start = time.perf_counter()
    proba = fitted.predict(new)
    seconds["predict"] = time.perf_counter() - start
    highest = peak()
    if fitted.parameters != [PARAMETERS] * MEMBERS or proba.shape != (1000, CLASSES):
        raise RuntimeError(f"{fitted.parameters} parameters, {proba.shape} results")
    with tempfile.TemporaryDirectory() as saved:
        fitted.save(Path(saved))
        disk = sum(file.stat().st_size for file in Path(saved).iterdir()) / 1e6
    memory = {"memory": highest, "above": highest - before}
    return {**seconds, **memory, "disk": disk, "right": right}


if __name__ == "__main__":
    main()
