"""The only module that uses TensorFlow's own functions; imported when Keras runs on it.

Three names are not documented by TensorFlow. One is that of the context, which
`runtime_has_started` reads: every public function that depends on it starts the
runtime. The others are the handle of a variable (`_handle`), and the call of a compiled
function with other handles than those of its own variables (`compile_step`).
A compiled function that is given handles works on the variables of any network, and an
operation on a handle can change the shape of a variable, which frees its memory. The
public ``tf.Variable`` methods do neither, and reading a variable by them takes ten
times as long, which matters when a single image is predicted.
"""

import functools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

# Optimizers that update each value by itself, and the number of values in a variable
# from which fusing the operations of an update saves time.
_ELEMENTWISE = (
    keras.optimizers.SGD,
    keras.optimizers.RMSprop,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
)
_LARGE = 1_000_000
# Several networks predict in one call, which is faster, unless a copy of the images per
# network would take more bytes than this.
_MOST_BYTES = 64 * 2**20
# Numbers of networks for which such calls are kept.
_MOST_COUNTS = 4


Step = Callable[..., dict]


def compile_step(
    step: Callable[[tuple], dict],
    batch: Sequence[np.ndarray],
    variables: Sequence[Any],
    *,
    jit_compile: bool,
) -> Callable[[Sequence[Any]], Step]:
    """Compile a training or evaluation step for batches of any size.

    Parameters
    ----------
    step : callable
        ``train_step`` or ``test_step`` of a network.
    batch : sequence of ndarray
        An example of images, targets and, if there are any, weights.
    variables : sequence of keras.Variable
        All that `step` reads or changes.
    jit_compile : bool
        Whether to compile by XLA.

    Returns
    -------
    callable
        Takes the variables of a network of this kind, in the same order, and returns
        its step: a function of the arrays of a batch that returns the metrics so far.
    """
    compiled = tf.function(
        lambda *arrays: step((*arrays, None)[:3]),
        input_signature=[tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in batch],
        autograph=False,
        # False would forbid it to all functions inside.
        jit_compile=jit_compile or None,
    ).get_concrete_function()
    places = {id(_handle(variable)): k for k, variable in enumerate(variables)}
    captured = [(each, places.get(id(each))) for each in compiled.captured_inputs]

    def bind(others: Sequence[Any]) -> Step:
        inputs = [
            each if place is None else _handle(others[place])
            for each, place in captured
        ]
        return lambda *arrays: compiled._call_flat([*map(tf.constant, arrays)], inputs)

    return bind


def fused(optimizer: Any) -> Any:
    """Return an optimizer that updates large variables in one pass over memory.

    Keras writes an update as about ten operations, and each passes over gradient,
    variable and state. For a wide dense layer they take a fifth of the whole step.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        Its state is not copied.

    Returns
    -------
    keras.optimizers.Optimizer
        `optimizer` itself if it is not known to update each value by itself, or where
        this has not been tried.
    """
    kind = type(optimizer)
    has_gpu = tf.config.list_physical_devices("GPU")
    if kind not in _ELEMENTWISE or sys.platform != "linux" or has_gpu:
        return optimizer

    class Fused(kind):  # type: ignore[misc, valid-type]
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            update = super().update_step
            if math.prod(variable.shape) < _LARGE or not tf.is_tensor(gradient):
                update(gradient, variable, learning_rate)
                return
            function = tf.function(
                lambda gradient: update(gradient, variable, learning_rate),
                input_signature=[tf.TensorSpec(gradient.shape, gradient.dtype)],
                autograph=False,
                jit_compile=True,
            )
            # Without this TensorFlow would warn once several networks are compiled.
            function.get_concrete_function()(gradient)

    return Fused.from_config(optimizer.get_config())


def runtime_has_started() -> bool:
    """Return whether TensorFlow has started its threads in this process or a parent."""
    return context.context()._context_handle is not None


def _handle(variable: Any) -> tf.Tensor:
    return variable.value.handle


def _read(handle: tf.Tensor, variable: Any) -> tf.Tensor:
    return tf.raw_ops.ReadVariableOp(resource=handle, dtype=variable.value.dtype)


def _assign(variable: Any, value: tf.Tensor) -> None:
    tf.raw_ops.AssignVariableOp(
        resource=_handle(variable), value=value, validate_shape=False
    )


def empty(variables: Sequence[Any]) -> None:
    """Free the memory of variables, which have to be filled before they are used again.

    TensorFlow keeps the variables of a compiled function even when neither can be
    reached from Python any more.
    """
    for variable in variables:
        _assign(variable, tf.zeros((0,), variable.value.dtype))


def fill(variables: Sequence[Any], sources: Sequence[Any]) -> None:
    """Copy the values of other variables to variables, which may be empty."""
    for variable, source in zip(variables, sources, strict=True):
        _assign(variable, _read(_handle(source), source))


def copy_out(
    variables: Sequence[Any], out: list[np.ndarray] | None = None
) -> list[np.ndarray]:
    """Return the values of variables, in the arrays of an earlier call if given."""
    tensors = [_read(_handle(variable), variable) for variable in variables]
    if out is None:
        out = [np.empty(t.shape, t.dtype.as_numpy_dtype) for t in tensors]
    for tensor, array in zip(tensors, out, strict=True):
        np.copyto(array, tensor)
    return out


def compile_prediction(
    network: keras.Model,
) -> Callable[[Sequence[keras.Model], np.ndarray], list[np.ndarray]] | None:
    """Compile the forward pass for all networks of the kind of this one.

    Parameters
    ----------
    network : keras.Model
        One of them; its values are not kept.

    Returns
    -------
    callable or None
        Takes such networks and float32 images, and returns the outputs of each; None
        if the network has state besides its variables.
    """
    variables = network.variables

    def forward(handles: list, images: tf.Tensor) -> tf.Tensor:
        values = []
        for handle, variable in zip(handles, variables, strict=True):
            value = _read(handle, variable)
            # A handle has no shape.
            value.set_shape(variable.shape)
            values.append(value)
        mapping = zip(variables, values, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            return network(images, training=False)

    handles_spec = [tf.TensorSpec((), tf.resource) for _ in variables]
    images_spec = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)
    predict_one = tf.function(
        forward, input_signature=[handles_spec, images_spec], autograph=False
    ).get_concrete_function()
    if predict_one.captured_inputs:
        return None
    if None not in network.input_shape[1:]:
        # TensorFlow optimises it in the first call, and in threads once for each.
        predict_one([*map(_handle, variables)], tf.zeros((1, *network.input_shape[1:])))

    @functools.lru_cache(maxsize=_MOST_COUNTS)
    def compile_several(n_networks: int) -> Callable:
        return tf.function(
            lambda handles, images: [predict_one(each, images) for each in handles],
            input_signature=[[handles_spec] * n_networks, images_spec],
            autograph=False,
        ).get_concrete_function()

    def predict(
        networks: Sequence[keras.Model], images: np.ndarray
    ) -> list[np.ndarray]:
        handles = [[_handle(v) for v in network.variables] for network in networks]
        batch = tf.constant(images)
        if len(networks) == 1 or len(networks) * images.nbytes > _MOST_BYTES:
            outputs = [predict_one(each, batch) for each in handles]
        else:
            outputs = compile_several(len(networks))(handles, batch)
        return [output.numpy() for output in outputs]

    return predict
