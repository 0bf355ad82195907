"""How a report can be made again: versions, parameters, command, Python."""

import inspect
import os
import platform
from importlib import metadata
from numbers import Integral
from typing import Any

from skwbc._utils.versions import versions
from skwbc.report._page import Block, Code, Table, Text

_UNKNOWN = object()
# Characters of a parameter: folds may be lists of thousands of positions.
_LONGEST = 200
# Beside those that skwbc stamps its pickles with.
_OTHERS = ("numpy", "scipy", "opencv-python-headless", "onnxruntime", "matplotlib")


def reproduction(
    estimator: Any, *, command: str | None, snippet: str, seed: str
) -> list[Block]:
    """Return the blocks of the last section of a report.

    Parameters
    ----------
    estimator : classifier
        Its parameters are shown, and those of all that are in it.
    command : str or None
        The command line that wrote the report.
    snippet : str
        The same in Python.
    seed : str
        What is to be said of randomness.
    """
    blocks: list[Block] = []
    if command is not None:
        blocks.append(Code("On the command line", command))
    blocks += [Code("In Python", snippet), Text(seed)]
    parameters = parameter_rows(estimator)
    header = ["Part", "Kind", "Parameters other than the defaults"]
    blocks.append(Table("Parameters", header, parameters, n_texts=3))
    rows = [
        ["Python", platform.python_version()],
        *[[name, version] for name, version in _versions_here().items()],
        ["System", f"{platform.system()} {platform.machine()}"],
        ["Processor cores", str(os.cpu_count())],
    ]
    blocks.append(
        Table("Versions that wrote this report", ["What", "Version"], rows, n_texts=2)
    )
    return blocks


def parameter_rows(estimator: Any, part: str = "model") -> list[list[str]]:
    """List an estimator and all that are in it, with what is not a default.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.
    part : str, default="model"
        What to call it.

    Returns
    -------
    list of list of str
        For each its name, as in the names of nested parameters, its class, and its
        parameters. Functions are always among them.
    """
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(type(estimator)).parameters.items()
    }
    own, inside = [], []
    for name, value in estimator.get_params(deep=False).items():
        if _is_estimator(value):
            inside.append((name, value))
        elif _are_named(value):
            # Steps of a pipeline, or those that vote; some may be "drop" or the like.
            inside += [pair for pair in value if _is_estimator(pair[1])]
            own += [f"{pair[0]}={pair[1]!r}" for pair in value if pair not in inside]
        elif callable(value) or repr(value) != repr(defaults.get(name, _UNKNOWN)):
            own.append(f"{name}={_written(value)}")
    rows = [[part, type(estimator).__name__, ", ".join(own) or "-"]]
    for name, value in inside:
        rows += parameter_rows(value, name if part == "model" else f"{part}__{name}")
    return rows


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _are_named(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(
        isinstance(pair, tuple) and len(pair) == 2 and _is_estimator(pair[1])
        for pair in value
    )


def _written(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    text = repr(value) if name is None else f"{value.__module__}.{name}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def training_snippet(
    recipe_call: str | None, shape: tuple[int, ...], *, grouped: bool = False
) -> str:
    """Write Python that trains the same ensemble.

    Parameters
    ----------
    recipe_call : str or None
        The call of ``make_cell_classifier`` that makes the unfitted ensemble, if known.
    shape : tuple of int
        Of the training images.
    grouped : bool, default=False
        Whether groups were kept together.
    """
    data = f"# X: the {shape[0]} images, of shape {shape}, in the same order; y: labels"
    fit = "model.fit(X, y)"
    if grouped:
        data += "\n# groups: the group of each image"
        fit = "model.fit(X, y, groups=groups)"
    if recipe_call is None:
        return (
            "from sklearn.base import clone\n"
            "from skwbc import load_model\n\n"
            f"{data}\n"
            "# The file that the ensemble was saved to; its parameters are below.\n"
            'model = clone(load_model("m.joblib"))\n'
            f"{fit}\n"
        )
    return (
        "from skwbc import make_cell_classifier\n\n"
        f"{data}\nmodel = {recipe_call}\n{fit}\n"
    )


def seed_sentence(ensemble: Any) -> str:
    """Say what a second training would give."""
    seed = ensemble.random_state
    if isinstance(seed, Integral):
        return (
            f"The seed is {seed}. With the same versions, data in the same order and "
            "equal numbers of threads, training gives the same members again."
        )
    return (
        "No seed (random_state) was given as a number, so another training gives "
        "other folds and other members."
    )


def _versions_here() -> dict[str, str]:
    found = {
        name.replace("sklearn", "scikit-learn"): version
        for name, version in versions(loaded_only=True).items()
    }
    for name in _OTHERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
