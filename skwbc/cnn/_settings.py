"""Checks of what networks are compiled with, and of the global settings of Keras."""

from contextlib import suppress
from types import ModuleType
from typing import Any

import keras

from skwbc.cnn._compiled.identity import comes_from_keras
from skwbc.cnn._keras_compat import layers_of

_MODULES: dict[str, ModuleType] = {
    "optimizer": keras.optimizers,
    "loss": keras.losses,
    "metrics": keras.metrics,
}
_EXPECTED = {
    "optimizer": "a Keras optimizer or its name, such as 'rmsprop'",
    "loss": (
        "one Keras loss or its name, such as 'categorical_crossentropy', or a function "
        "of targets and probabilities"
    ),
    "metrics": (
        "None or Keras metrics or their names, such as ['accuracy'], or functions of "
        "targets and probabilities"
    ),
}
# Names for which Keras chooses a metric that suits the targets.
_CHOSEN_BY_KERAS = ("acc", "accuracy", "ce", "crossentropy")
# Keras' own defaults of settings that change what a network computes.
_DEFAULTS = {"floatx": "float32", "dtype_policy": "float32", "epsilon": 1e-7}


def check_compile_arguments(**arguments: Any) -> None:
    """Check the parameters `optimizer`, `loss` and `metrics`.

    Parameters
    ----------
    **arguments : dict
        Some of the three.

    Raises
    ------
    ValueError
        If Keras does not take one of them.
    """
    for name, value in arguments.items():
        items = [value] if name == "optimizer" else keras.tree.flatten(value)
        if name == "metrics":
            is_valid = value is None or all(_is_valid(name, item) for item in items)
        else:
            is_valid = len(items) == 1 and _is_valid(name, items[0])
        if not is_valid:
            raise ValueError(f"{name}={value!r}; expected {_EXPECTED[name]}.")


def _is_valid(name: str, item: Any) -> bool:
    if isinstance(item, str):
        if name == "metrics" and item in _CHOSEN_BY_KERAS:
            return True
        try:
            item = _MODULES[name].get(item)
        except ValueError:
            return False
    kind = item if isinstance(item, type) else type(item)
    if name == "optimizer":
        return issubclass(kind, keras.optimizers.Optimizer)
    others = [keras.optimizers.Optimizer, keras.Layer]
    if name == "loss":
        others.append(keras.Metric)
    return callable(item) and not issubclass(kind, tuple(others))


def copy_metric(metric: Any) -> Any:
    """Return a copy of a metric; a function or name as it is."""
    if not isinstance(metric, keras.Metric):
        return metric
    # The config of a class of the user's own may lack settings, and functions in a
    # config may not be registered with Keras.
    with suppress(TypeError, ValueError):
        if comes_from_keras(type(metric)):
            return type(metric).from_config(metric.get_config())
    copy = object.__new__(type(metric))
    vars(copy).update(vars(metric))
    return copy


def check_keras_settings(*names: str) -> None:
    """Check global settings of Keras.

    Parameters
    ----------
    *names : str
        "floatx", "dtype_policy" or "epsilon".

    Raises
    ------
    ValueError
        If one of them is not Keras' own default.
    """
    for name in names:
        value = getattr(keras.config, name)()
        value = getattr(value, "name", value)
        _refuse_unless(value == _DEFAULTS[name], name, value, _DEFAULTS[name])


def check_compiled(network: keras.Model) -> None:
    """Check that a network can be trained on images with the channels last.

    Parameters
    ----------
    network : keras.Model
        Compiled by its builder or by the classifier.

    Raises
    ------
    ValueError
        If it has no optimizer, or layers with the channels first because that is the
        global setting of Keras.
    """
    if network.optimizer is None:
        raise ValueError(
            "The function that builds the network has compiled it with optimizer=None; "
            f"expected {_EXPECTED['optimizer']}."
        )
    name, first = "image_data_format", "channels_first"
    if keras.config.image_data_format() == first:
        formats = {getattr(layer, "data_format", None) for layer in layers_of(network)}
        _refuse_unless(first not in formats, name, first, "channels_last")


def _refuse_unless(condition: bool, name: str, value: Any, expected: Any) -> None:
    if not condition:
        raise ValueError(
            f"The global setting keras.config.{name}() is {value!r}, but networks need "
            f"{expected!r}. Call keras.config.set_{name}({expected!r}), and "
            "remove the setting from keras.json if it is there. Layers may have a "
            "dtype or data_format of their own."
        )
