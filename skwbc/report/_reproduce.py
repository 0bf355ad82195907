"""The section of a report that shows how to make it again."""

import inspect
import os
import platform
from contextlib import suppress
from importlib import metadata
from numbers import Integral
from typing import Any

from skwbc._utils.versions import versions
from skwbc.report._page import Block, Code, Table, Text

# Maximum length of a parameter: folds may be lists of thousands of positions.
_LONGEST = 200
# Packages in addition to those whose versions are stored in model files.
_OTHERS = ("numpy", "scipy", "opencv-python-headless", "onnxruntime", "matplotlib")


def reproduction(
    estimator: Any, *, command: str | None, snippet: str, seed: str
) -> list[Block]:
    """Return the blocks of the last section of a report.

    Parameters
    ----------
    estimator : classifier
        The classifier whose parameters, including nested ones, are shown.
    command : str or None
        The command line that wrote the report.
    snippet : str
        The same in Python.
    seed : str
        A sentence about randomness.
    """
    blocks: list[Block] = []
    if command is not None:
        blocks.append(Code("On the command line", command))
    here = {"Python": platform.python_version()}
    for name, version in versions(loaded_only=True).items():
        here[name.replace("sklearn", "scikit-learn")] = version
    for name in _OTHERS:
        with suppress(metadata.PackageNotFoundError):
            here[name] = metadata.version(name)
    here["System"] = f"{platform.system()} {platform.machine()}"
    here["Processor cores"] = str(os.cpu_count())
    return [
        *blocks,
        Code("In Python", snippet),
        Text(seed),
        Table("Parameters", parameter_rows(estimator), n_texts=3),
        Table(
            "Versions that wrote this report",
            [{"Name": name, "Version": version} for name, version in here.items()],
            n_texts=2,
        ),
    ]


def parameter_rows(estimator: Any) -> list[dict[str, str]]:
    """List an estimator and all nested ones with the parameters that are not defaults.

    Parameters
    ----------
    estimator : estimator
        A fitted or unfitted estimator.

    Returns
    -------
    list of dict
        The name of each estimator, as in the names of nested parameters, its class, and
        its parameters. Functions are always included.
    """
    rows = []
    for name, part in sorted({"": estimator, **estimator.get_params()}.items()):
        if _is_estimator(part):
            defaults = inspect.signature(type(part)).parameters
            own = [
                f"{key}={_text(value)}"
                for key, value in part.get_params(deep=False).items()
                if callable(value)
                or key not in defaults
                or repr(value) != repr(defaults[key].default)
            ]
            rows.append(
                {
                    "Estimator": name or "model",
                    "Class": type(part).__name__,
                    "Parameters that differ from the defaults": ", ".join(own) or "-",
                }
            )
    return rows


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _text(value: Any) -> str:
    """Return a parameter as text: classes and functions by name, and not too long."""
    if isinstance(value, list | tuple):
        text = f"[{', '.join(map(_text, value))}]"
    elif _is_estimator(value):
        text = type(value).__name__
    elif hasattr(value, "__qualname__"):
        text = f"{value.__module__}.{value.__qualname__}"
    else:
        text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def training_snippet(
    recipe_call: str | None, shape: tuple[int, ...], *, grouped: bool = False
) -> str:
    """Return Python code that trains the same ensemble.

    Parameters
    ----------
    recipe_call : str or None
        The call of ``make_cell_classifier`` that makes the unfitted ensemble, if known.
    shape : tuple of int
        Shape of the training images.
    grouped : bool, default=False
        Whether groups were passed to ``fit``.
    """
    imports = "from skwbc import make_cell_classifier\n"
    model = f"model = {recipe_call}\n"
    if recipe_call is None:
        imports = "from sklearn.base import clone\nfrom skwbc import load_model\n"
        model = (
            "# The file that the ensemble was saved to; its parameters are below.\n"
            'model = clone(load_model("m.joblib"))\n'
        )
    data = (
        f"# X: images, an array of shape {shape} in the same order; y: their labels\n"
    )
    fit = "model.fit(X, y)\n"
    if grouped:
        data += "# groups: the group of each image\n"
        fit = "model.fit(X, y, groups=groups)\n"
    return f"{imports}\n{data}{model}{fit}"


def seed_sentence(estimator: Any) -> str:
    """Describe what training the ensemble again would give."""
    seed = estimator.random_state
    if isinstance(seed, Integral):
        return (
            f"The seed is {seed}. With the same versions, data in the same order and "
            "equal numbers of threads, training gives the same members again."
        )
    return (
        "The seed (random_state) is not a number, so another training gives different "
        "folds and members."
    )
