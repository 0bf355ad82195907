"""When two networks are the same but for the values of their variables.

What TensorFlow compiles for one of them then does for the other as well.
"""

import json
from types import FunctionType
from typing import Any

import keras

# Parts of a description that are no objects of a class.
_PLAIN = {"__keras_tensor__", "__tuple__"}
# Where a layer's name refers to a layer.
_REFERENCES = {"keras_history", "input_layers", "output_layers"}


def identity(network: keras.Model, *, compiled: bool) -> str | None:
    """Return a text that is the same for networks that compute the same.

    Parameters
    ----------
    network : keras.Model
        A built network, on TensorFlow.
    compiled : bool
        Whether what it was compiled with matters, too.

    Returns
    -------
    str or None
        None if what the network computes need not follow from what its parts say of
        themselves, as when they are not Keras' own.
    """
    if not all(map(is_plain_layer, network._flatten_layers())):
        return None
    description = json.loads(network.to_json())
    settings = description.pop("compile_config", None)
    if compiled:
        settings = _describe_compilation(network, settings)
        description["compile_config"] = settings
    if not _is_plain(description):
        return None
    names: dict[str, str] = {}
    _number_layers(description["config"], names)
    around = {
        "custom_objects": sorted(
            (name, id(value))
            for name, value in keras.saving.get_custom_objects().items()
        ),
        "epsilon": keras.config.epsilon(),
        "floatx": keras.config.floatx(),
        # Of a variable the description says neither.
        "variables": [(v.trainable, str(v.value.device)) for v in network.variables],
    }
    return json.dumps([_rename(description, names), around], sort_keys=True)


def is_plain_layer(layer: keras.layers.Layer) -> bool:
    """Tell whether a layer is Keras' own, with no function of somebody else's.

    Of a function the description has only the name.
    """
    if isinstance(layer, keras.layers.Lambda) or hasattr(layer, "finalize_state"):
        # The latter keep constants besides their variables, as Normalization does.
        return False
    parts = [v for v in vars(layer).values() if _is_function(v)]
    return all(map(comes_from_keras, [type(layer), *parts]))


def comes_from_keras(part: Any, *others: str) -> bool:
    """Tell whether a class or function is defined in Keras, or in other packages."""
    return (part.__module__ or "").partition(".")[0] in ("keras", *others)


def _is_function(value: Any) -> bool:
    return isinstance(value, FunctionType)


def _describe_compilation(network: keras.Model, settings: Any) -> Any:
    """Leave out of what Keras says what may differ; name a loss of Keras' own."""
    settings = dict(settings or {})
    loss = network.loss
    if _is_function(loss) and _is_of_keras(loss):
        settings["loss"] = loss.__name__
    optimizer = settings.get("optimizer")
    if isinstance(optimizer, dict):
        config = dict(optimizer["config"])
        # Keras counts up the name; the learning rate is a variable.
        config.pop("name", None)
        if isinstance(config.get("learning_rate"), float):
            del config["learning_rate"]
        settings["optimizer"] = {**optimizer, "config": config}
    return settings


def _is_of_keras(loss: FunctionType) -> bool:
    try:
        return keras.losses.get(loss.__name__) is loss
    except ValueError:
        return False


def _is_plain(part: Any) -> bool:
    """Tell whether all that a description names are objects of Keras' own classes."""
    if isinstance(part, list):
        return all(map(_is_plain, part))
    if not isinstance(part, dict):
        return True
    if "class_name" in part and part["class_name"] not in _PLAIN:
        module = part.get("module") or ""
        if module.partition(".")[0] != "keras":
            return False
    return all(map(_is_plain, part.values()))


def _number_layers(config: dict[str, Any], names: dict[str, str]) -> None:
    """Collect the names of a network and its layers, nested ones as well."""
    names.setdefault(config["name"], f"#{len(names)}")
    for layer in config.get("layers", ()):
        _number_layers(layer["config"], names)
    inner = config.get("layer")
    if isinstance(inner, dict):
        _number_layers(inner["config"], names)


def _rename(part: Any, names: dict[str, str], key: str = "") -> Any:
    """Replace names by numbers: Keras counts up the names of all it ever made."""
    if isinstance(part, dict):
        return {
            # Data types have names, too.
            key: value if key == "dtype" else _rename(value, names, key)
            for key, value in part.items()
        }
    if isinstance(part, list | tuple):
        return [_rename(value, names, key) for value in part]
    if isinstance(part, str) and (key == "name" or key in _REFERENCES):
        return names.get(part, part)
    return part
