"""What only TensorFlow needs or can do. Imported when Keras runs on it."""

import functools
import math
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Optimizers that treat each value by itself, and the number of values in one variable
# from which a pass over memory takes longer than starting a compiled function.
_ELEMENTWISE = (
    keras.optimizers.SGD,
    keras.optimizers.RMSprop,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
)
_LARGE = 1_000_000
# Several networks are asked in one call unless each of them looking at a copy of the
# images of its own would take more bytes than this; it is then too much memory for what
# is gained. For how many different numbers of networks such calls are kept.
_MOST_BYTES = 64 * 2**20
_MOST_COUNTS = 4


def is_plainly_run(network: keras.Model) -> bool:
    """Tell whether steps of a compiled network may be taken without Keras' trainer."""
    return not (
        network.run_eagerly
        or tf.config.functions_run_eagerly()
        or tf.distribute.has_strategy()
        or network.distribute_strategy is not tf.distribute.get_strategy()
    )


def compile_step(
    step: Callable[[tuple], dict], batch: Sequence[np.ndarray], *, jit_compile: bool
) -> Callable[..., dict]:
    """Compile a training or evaluation step for batches of any size.

    Parameters
    ----------
    step : callable
        ``train_step`` or ``test_step`` of a network.
    batch : sequence of ndarray
        Images, targets and, if there are any, weights: of the kind that it will get.
    jit_compile : bool
        Whether by XLA.

    Returns
    -------
    callable
        Takes the parts of a batch; returns the metrics so far.
    """
    compiled = tf.function(
        lambda *parts: step((*parts, None)[:3]),
        input_signature=[tf.TensorSpec((None, *p.shape[1:]), p.dtype) for p in batch],
        autograph=False,
        # False would be an order to all functions inside.
        jit_compile=jit_compile or None,
    ).get_concrete_function()
    return lambda *parts: compiled(*map(tf.constant, parts))


def fuse_updates(network: keras.Model) -> None:
    """Let a network's optimizer update each large variable in one pass over memory.

    Keras writes an update as about ten operations, each a pass over gradient, variable
    and state. For a wide dense layer that takes a fifth of the whole step.

    Parameters
    ----------
    network : keras.Model
        Compiled. Its optimizer is left alone if that is not known to treat each value
        by itself, or where this has not been tried.
    """
    optimizer = network.optimizer
    gpus = tf.config.list_physical_devices("GPU")
    if type(optimizer) not in _ELEMENTWISE or sys.platform != "linux" or gpus:
        return
    if network.jit_compile:
        return
    update = type(optimizer).update_step
    # Or optimizer and function would keep each other alive.
    itself = weakref.ref(optimizer)

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        if math.prod(variable.shape) < _LARGE or not tf.is_tensor(gradient):
            update(itself(), gradient, variable, learning_rate)
            return

        fused = tf.function(
            lambda gradient: update(itself(), gradient, variable, learning_rate),
            input_signature=[tf.TensorSpec(gradient.shape, gradient.dtype)],
            autograph=False,
            jit_compile=True,
        )
        # Called itself, it would warn that several networks were compiled.
        fused.get_concrete_function()(gradient)

    optimizer.update_step = update_step


def empty(variables: Sequence[Any]) -> None:
    """Give the memory of variables back; they are of no use before they are filled.

    TensorFlow keeps what a compiled function uses even when nobody has the function
    or the variable any more.
    """
    for variable in variables:
        nothing = tf.zeros((0,), variable.value.dtype)
        _put(variable, nothing)


def fill(variables: Sequence[Any], sources: Sequence[Any]) -> None:
    """Give variables, which may be empty, the values of others."""
    for variable, source in zip(variables, sources, strict=True):
        _put(variable, _read(source))


def copy_out(
    variables: Sequence[Any], out: Sequence[np.ndarray] | None = None
) -> list[np.ndarray]:
    """Return the values of variables, in the memory of earlier ones if there are."""
    tensors = [_read(variable) for variable in variables]
    if out is None:
        out = [np.empty(t.shape, t.dtype.as_numpy_dtype) for t in tensors]
    for tensor, array in zip(tensors, out, strict=True):
        np.copyto(array, tensor)
    return list(out)


def _read(variable: Any) -> tf.Tensor:
    # A tenth of the time of the variable's own method, which matters for one image.
    tensor = variable.value
    return tf.raw_ops.ReadVariableOp(resource=tensor.handle, dtype=tensor.dtype)


def _put(variable: Any, value: tf.Tensor) -> None:
    tf.raw_ops.AssignVariableOp(
        resource=variable.value.handle, value=value, validate_shape=False
    )


def compile_prediction(
    network: keras.Model,
) -> Callable[[Sequence[keras.Model], np.ndarray], list[np.ndarray]] | None:
    """Compile the forward pass of all networks that compute the same as this one.

    Parameters
    ----------
    network : keras.Model
        It is not kept.

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
            dtype = variable.value.dtype
            value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
            # A handle does not say it.
            value.set_shape(variable.shape)
            values.append(value)
        mapping = zip(variables, values, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            return network(images, training=False)

    handles_of_one = [tf.TensorSpec((), tf.resource) for _ in variables]
    images_of_all = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)
    one = tf.function(
        forward, input_signature=[handles_of_one, images_of_all], autograph=False
    ).get_concrete_function()
    if one.captured_inputs:
        return None

    # One call for all takes less time than a call for each, but memory for all.
    @functools.lru_cache(maxsize=_MOST_COUNTS)
    def compile_several(n_networks: int) -> Callable:
        return tf.function(
            lambda handles, images: [one(of_one, images) for of_one in handles],
            input_signature=[[handles_of_one] * n_networks, images_of_all],
            autograph=False,
        ).get_concrete_function()

    def predict(
        networks: Sequence[keras.Model], images: np.ndarray
    ) -> list[np.ndarray]:
        handles = [[v.value.handle for v in net.variables] for net in networks]
        seen = tf.constant(images)
        if len(networks) == 1 or len(networks) * images.nbytes > _MOST_BYTES:
            outputs = [one(of_one, seen) for of_one in handles]
        else:
            outputs = compile_several(len(networks))(handles, seen)
        return [output.numpy() for output in outputs]

    return predict
