"""Parameters and versions, with which a report can be made again."""

import inspect
import os
import platform
from contextlib import suppress
from importlib import metadata
from typing import Any

from skwbc._utils.versions import versions

# Maximum length of a parameter: folds may be lists of thousands of positions.
_LONGEST = 200
# Packages in addition to those whose versions are stored in model files.
_OTHERS = ("numpy", "scipy", "opencv-python-headless", "onnxruntime", "matplotlib")


def version_rows() -> list[dict[str, str]]:
    """List the packages, the system and the processor."""
    here = {"Python": platform.python_version()}
    for name, version in versions(loaded_only=True).items():
        here[name.replace("sklearn", "scikit-learn")] = version
    for name in _OTHERS:
        with suppress(metadata.PackageNotFoundError):
            here[name] = metadata.version(name)
    here["System"] = f"{platform.system()} {platform.machine()}"
    here["Processor cores"] = str(os.cpu_count())
    return [{"Name": name, "Version": version} for name, version in here.items()]


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


def loading_code(model: Any, model_file: str | os.PathLike | None) -> tuple[str, str]:
    """Return the module with the function that loads a model, and its call.

    Parameters
    ----------
    model : classifier
        The model.
    model_file : str, path-like or None
        Its file, if known. A model in ONNX knows its own.
    """
    if type(model).__name__ == "OnnxClassifier":
        return "skwbc.export", f"OnnxClassifier({os.fspath(model.path)!r})"
    return "skwbc", f"load_model({os.fspath(model_file or 'm.joblib')!r})"
