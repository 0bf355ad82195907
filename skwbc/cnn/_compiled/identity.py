"""Recognising networks that differ only in the values of their variables.

What TensorFlow compiles for one of them can then be used for the others. They have the
same JSON config in Keras, after two corrections: names, which Keras counts up for each
new layer, are replaced by numbers, and whatever the config does not contain, such as
the device of a variable, is added. If a layer, a loss or another function is not Keras'
own, the config has only its name, and nothing is shared.
"""

import json
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any

import keras

from skwbc.cnn._keras_compat import layers_of

# Values of "class_name" in a config that do not name a class.
_MARKERS = {"__keras_tensor__", "__tuple__"}
# Keys of a config with names of layers.
_REFERENCES = {"keras_history", "input_layers", "output_layers"}


class Kept:
    """Compiled objects by the identity of their networks, the last used at the end.

    Parameters
    ----------
    limit : int
        Number of objects from which the least recently used one is dropped.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.RLock()
        self._items: list[tuple[str, Any]] = []

    def take(self, key: str) -> Any:
        """Remove and return the object with a key, or None if there is none."""
        with self._lock:
            for position, (other, _) in enumerate(self._items):
                if other == key:
                    return self._items.pop(position)[1]
        return None

    def put(self, key: str, item: Any) -> None:
        """Keep an object. There may be several with one key."""
        with self._lock:
            self._items.append((key, item))
            del self._items[: -self._limit]

    def get(self, key: str, make: Callable[[], Any]) -> Any:
        """Return the object with a key, which stays; make it if there is none."""
        with self._lock:
            item = self.take(key)
            if item is None:
                item = make()
            self.put(key, item)
            return item


def runs_on_tensorflow(network: keras.Model) -> bool:
    """Return whether TensorFlow runs a network, compiled and on a single device."""
    if keras.backend.backend() != "tensorflow":
        return False
    # Keras has imported it.
    import tensorflow as tf

    return not (
        network.run_eagerly
        or tf.config.functions_run_eagerly()
        or tf.distribute.has_strategy()
        or network.distribute_strategy is not tf.distribute.get_strategy()
    )


def identity(network: keras.Model, *, compiled: bool) -> str | None:
    """Return a text that is equal for networks that compute the same.

    Parameters
    ----------
    network : keras.Model
        A built network.
    compiled : bool
        Whether optimizer, loss and metrics have to be the same as well.

    Returns
    -------
    str or None
        None if the network cannot share what is compiled: it does not run on
        TensorFlow, or its config does not determine what it computes.
    """
    if not runs_on_tensorflow(network):
        return None
    layers = layers_of(network)
    if not all(map(is_plain_layer, layers)):
        return None
    config = json.loads(network.to_json())
    compile_config = config.pop("compile_config", None)
    if compiled:
        config["compile_config"] = _describe_compilation(network, compile_config)
    if not _is_plain(config):
        return None
    names = {layer.name: f"#{number}" for number, layer in enumerate(layers)}
    not_in_config = {
        "custom_objects": sorted(
            (name, id(value))
            for name, value in keras.saving.get_custom_objects().items()
        ),
        "epsilon": keras.config.epsilon(),
        "floatx": keras.config.floatx(),
        "variables": [(v.trainable, str(v.value.device)) for v in network.variables],
    }
    return json.dumps([_rename(config, names), not_in_config], sort_keys=True)


def config_without_names(network: keras.Model) -> Any:
    """Return the architecture of a network, with numbers for the names of layers."""
    config = json.loads(network.to_json())
    config.pop("compile_config", None)
    names = {layer.name: f"#{k}" for k, layer in enumerate(layers_of(network))}
    return _rename(config, names)


def is_plain_layer(layer: keras.layers.Layer) -> bool:
    """Return whether a layer is Keras' own and has no function from elsewhere.

    A config has only the names of functions.
    """
    if isinstance(layer, keras.layers.Lambda) or hasattr(layer, "finalize_state"):
        # The latter, such as Normalization, keep constants besides their variables.
        return False
    functions = [v for v in vars(layer).values() if isinstance(v, FunctionType)]
    return all(map(comes_from_keras, [type(layer), *functions]))


def comes_from_keras(code: Any, *others: str) -> bool:
    """Return whether a class or function is defined in Keras, or in other packages."""
    return (code.__module__ or "").partition(".")[0] in ("keras", *others)


def _describe_compilation(network: keras.Model, compile_config: Any) -> Any:
    """Give a loss function of Keras its full name; leave out values of variables."""
    config = dict(compile_config or {})
    loss = network.loss
    if isinstance(loss, FunctionType) and comes_from_keras(loss):
        config["loss"] = f"{loss.__module__}.{loss.__name__}"
    optimizer = config.get("optimizer")
    if isinstance(optimizer, dict):
        # Keras counts up the names; the learning rate is a variable.
        settings = _without_names(optimizer["config"])
        if isinstance(settings.get("learning_rate"), float):
            del settings["learning_rate"]
        config["optimizer"] = {**optimizer, "config": settings}
    return config


def _without_names(config: Any) -> Any:
    """Remove the names of an optimizer and of those inside it."""
    if isinstance(config, dict):
        return {k: _without_names(v) for k, v in config.items() if k != "name"}
    return list(map(_without_names, config)) if isinstance(config, list) else config


def _is_plain(config: Any) -> bool:
    """Return whether all classes in a config are Keras' own."""
    if isinstance(config, list):
        return all(map(_is_plain, config))
    if not isinstance(config, dict):
        return True
    if config.get("class_name", "__tuple__") not in _MARKERS:
        module = config.get("module") or ""
        if module.partition(".")[0] != "keras":
            return False
    return all(map(_is_plain, config.values()))


def _rename(config: Any, names: dict[str, str], key: str = "") -> Any:
    """Replace the names of layers in a config."""
    if isinstance(config, dict):
        return {
            # A data type may have the name of a layer.
            key: value if key == "dtype" else _rename(value, names, key)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [_rename(value, names, key) for value in config]
    if isinstance(config, str) and (key == "name" or key in _REFERENCES):
        return names.get(config, config)
    return config
