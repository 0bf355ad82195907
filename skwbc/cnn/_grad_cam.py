"""Where in an image a network looks: class activation maps from gradients."""

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np

from skwbc._utils.lazy_arrays import PREDICTION_BATCH
from skwbc.cnn._batches import Batches
from skwbc.cnn._compiled.identity import identity
from skwbc.cnn._packing import pack, unpack
from skwbc.cnn._views import View, turn_back


class _Parts(NamedTuple):
    """A network cut in two at its last maps.

    `back` takes the maps, and the images for what goes past the maps. `variables` are
    those of both, in the order of the network's. With `scores` the outputs are what the
    network's softmax or sigmoid is given, otherwise they are its probabilities.
    """

    front: keras.Model
    back: keras.Model
    variables: list[Any]
    scores: bool


# By what networks compute, and without values: one serves all members of an ensemble.
_of_kind: dict[str, _Parts] = {}
_cutting = threading.Lock()
_MOST = 8


def class_activation_maps(
    network: keras.Model,
    X: Any,
    targets: np.ndarray,
    size: tuple[int, int],
    views: Sequence[View] = (),
) -> np.ndarray:
    """Return where in each image a network sees a class, by Grad-CAM [1]_.

    The last maps of the network are added up, each weighted by the mean gradient of the
    class's score with respect to it. What is negative is left out.

    Parameters
    ----------
    network : keras.Model
        Built, from images to probabilities.
    X : array-like of shape (n_samples, height, width, channels)
        Images as the network takes them.
    targets : ndarray of shape (n_samples,), int
        The class of each, by its position.
    size : tuple of int
        The height and width that the maps are enlarged to.
    views : sequence of callable, default=()
        Turn or flip a batch of images, as :func:`views_of` returns them. The mean
        over them is returned, each turned back.

    Returns
    -------
    ndarray of shape (n_samples, height, width), float32
        Of any scale, from 0.

    Raises
    ------
    ValueError
        If the network has no maps of more than one pixel.

    References
    ----------
    .. [1] R. R. Selvaraju, M. Cogswell, A. Das, R. Vedantam, D. Parikh, D. Batra.
       "Grad-CAM: visual explanations from deep networks via gradient-based
       localization." ICCV 2017.
    """
    parts, with_values = _find(network)
    height, width = size
    at_a_time = max(1, PREDICTION_BATCH // max(1, len(views)))
    found = np.empty((len(X), height, width), np.float32)
    first = 0
    for images, codes, _ in Batches(X, targets, None, size=at_a_time).in_order():
        seen = np.concatenate([view(images) for view in views]) if views else images
        with with_values():
            maps = _map(parts, seen, np.tile(codes, max(1, len(views))))
        if views:
            stacks = np.split(maps, len(views))
            turned = [turn_back(*pair) for pair in zip(views, stacks, strict=True)]
            maps = np.mean(turned, axis=0)
        for row, each in enumerate(maps, start=first):
            found[row] = cv2.resize(each, (width, height))
        first += len(images)
    return found


def _map(parts: _Parts, images: np.ndarray, codes: np.ndarray) -> np.ndarray:
    inputs = keras.ops.convert_to_tensor(images)
    n_outputs = parts.back.output_shape[-1]
    # The score of the first of two classes is that of the second, negated.
    directions = (
        2.0 * codes[:, np.newaxis] - 1.0 if n_outputs == 1 else np.eye(n_outputs)[codes]
    )
    wanted = keras.ops.convert_to_tensor(directions.astype(np.float32))

    def score(maps: Any) -> Any:
        outputs = parts.back([maps, inputs], training=False)
        outputs = keras.ops.cast(outputs, "float32")
        if not parts.scores:
            outputs = _log_odds(outputs)
        return keras.ops.sum(outputs * wanted)

    maps = parts.front([inputs], training=False)
    gradients = keras.ops.convert_to_numpy(_gradient(score, maps))
    weights = gradients.astype(np.float32).mean(axis=(1, 2))
    features = keras.ops.convert_to_numpy(maps).astype(np.float32)
    return np.maximum(np.einsum("nhwc,nc->nhw", features, weights), 0.0)


def _log_odds(proba: Any) -> Any:
    """Return a score for each class of a network whose end is not known."""
    epsilon = keras.config.epsilon()
    proba = keras.ops.clip(proba, epsilon, 1 - epsilon)
    return keras.ops.log(proba) - keras.ops.log(1 - proba)


def _gradient(score: Callable[[Any], Any], maps: Any) -> Any:
    """Return the gradient of a number with respect to what it is computed from."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(maps)
            value = score(maps)
        return tape.gradient(value, maps)
    if backend == "jax":
        import jax

        return jax.grad(score)(maps)
    if backend == "torch":
        import torch

        with torch.enable_grad():
            maps = maps.detach().requires_grad_()
            return torch.autograd.grad(score(maps), maps)[0]
    raise NotImplementedError(
        f"grad_cam cannot take gradients on Keras' backend {backend!r}. Set "
        "KERAS_BACKEND to tensorflow, jax or torch."
    )


def _find(
    network: keras.Model,
) -> tuple[_Parts, Callable[[], AbstractContextManager[Any]]]:
    """Return the parts of a network, and within what they have its values."""
    kind = None
    if keras.backend.backend() == "tensorflow":
        from skwbc.cnn._compiled import tensorflow as _tensorflow

        if _tensorflow.is_plainly_run(network):
            kind = identity(network, compiled=False)
    if kind is None:
        return _cut(network), nullcontext
    with _cutting:
        if kind not in _of_kind:
            while len(_of_kind) >= _MOST:
                del _of_kind[next(iter(_of_kind))]
            parts = _cut(network)
            _tensorflow.empty(parts.variables)
            _of_kind[kind] = parts
        parts = _of_kind[kind]
    values = [keras.ops.convert_to_tensor(each.value) for each in network.variables]
    mapping = list(zip(parts.variables, values, strict=True))
    return parts, lambda: keras.StatelessScope(state_mapping=mapping)


def _cut(network: keras.Model) -> _Parts:
    """Copy a network, which may be somebody's who goes on with it, and cut the copy.

    The copy ends before the softmax. Of one that is sure of itself the gradient
    vanishes, and so does that of its logarithm once the probability is rounded to one.
    """
    packed = pack(network)
    architecture = json.loads(packed.architecture)
    scores = _end_before_softmax(architecture)
    copy = unpack(packed._replace(architecture=json.dumps(architecture)))
    variables = copy.variables
    maps = _last_maps(copy)
    if maps is None:
        # They may be inside of a network that is one of the layers.
        copy = _flatten(copy)
        maps = _last_maps(copy)
    if maps is None:
        raise ValueError(
            "grad_cam needs a network with maps of more than one pixel: a layer whose "
            "outputs have shape (n_samples, height, width, channels), and which is not "
            "before all that is learnt. This one has "
            f"{', '.join(type(layer).__name__ for layer in network.layers)}."
        )
    front = keras.Model(copy.inputs, maps)
    back = keras.Model([maps, *copy.inputs], copy.outputs[0])
    return _Parts(front, back, variables, scores)


def _end_before_softmax(description: dict[str, Any]) -> bool:
    """Take softmax or sigmoid from the end of a network's description, if it is there.

    Returns
    -------
    bool
        Whether it was.
    """
    config = description["config"]
    if "layers" in config:
        layers = config["layers"]
        ends = config.get("output_layers")
        if ends is None:
            return _end_before_softmax(layers[-1])
        end = ends if isinstance(ends[0], str) else ends[0]
        last = next(each for each in layers if each["config"]["name"] == end[0])
        return _end_before_softmax(last)
    if description["class_name"] == "Softmax":
        description["class_name"] = "Activation"
        config.pop("axis", None)
        config["activation"] = "linear"
        for node in description.get("inbound_nodes", ()):
            node["kwargs"] = {}  # a softmax takes a mask
        return True
    if config.get("activation") in ("softmax", "sigmoid"):
        config["activation"] = "linear"
        return True
    return False


def _last_maps(network: keras.Model) -> Any:
    """Return the last that a layer gives of more than one pixel, or None.

    Layers before the first convolution do not count: they give the image itself.
    """
    found = None
    has_learnt = False
    for layer in getattr(network, "operations", network.layers):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        weights = getattr(layer, "weights", ())
        has_learnt = has_learnt or any(len(weight.shape) > 1 for weight in weights)
        # A network as a layer says what it gives inside itself, not here.
        for tensor in layer._inbound_nodes[-1].output_tensors:
            if has_learnt and len(tensor.shape) == 4 and tensor.shape[1:3] != (1, 1):
                found = tensor
    return found


def _flatten(network: keras.Model) -> keras.Model:
    """Return a network of the same layers, with those of networks inside it."""
    inputs = [keras.Input(batch_shape=t.shape, dtype=t.dtype) for t in network.inputs]
    return keras.Model(inputs, _run_through(network, inputs))


def _run_through(network: Any, inputs: Sequence[Any]) -> Any:
    def step_of(layer: Any) -> Callable[..., Any]:
        graph = getattr(layer, "_functional", layer)
        if not hasattr(graph, "_run_through_graph"):
            return layer
        return lambda *inside, **_: _run_through(layer, inside)

    graph = getattr(network, "_functional", network)
    return graph._run_through_graph(inputs, operation_fn=step_of)
