"""The training loop: epochs of batches, a held-out evaluation after each.

It does what ``keras.Model.fit`` does, by Keras' own compiled steps on single batches.
Going without ``fit`` saves building its data pipeline, which on small sets of images
takes a third of the time.
"""

import logging
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import keras
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skwbc._progress import report
from skwbc.cnn._batches import Batch, Batches


class Training(NamedTuple):
    """What a training gave: metrics by epoch, and the epoch that was kept (from 1)."""

    history: dict[str, list[float]]
    best_epoch: int


@contextmanager
def _tracing_is_expected() -> Iterator[None]:
    """Keep TensorFlow from warning that each of several networks is traced."""
    logger = logging.getLogger("tensorflow")

    def is_other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in str(record.msg)

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


@_tracing_is_expected()
def train(
    network: keras.Model,
    batches: Batches,
    held_out: Batches | None,
    *,
    epochs: int,
    patience: int | None,
    monitor: str,
    verbose: int,
    around_epoch: Callable[[], AbstractContextManager] = nullcontext,
) -> Training:
    """Train a compiled network in place.

    Parameters
    ----------
    network : keras.Model
        Compiled. With a held-out set it ends with the weights of its best epoch.
    batches : Batches
        What to train on.
    held_out : Batches or None
        What to evaluate after each epoch.
    epochs : int
        Epochs at the most.
    patience : int or None
        Epochs without a better `monitor` before training stops; None never stops.
    monitor : str
        The metric that decides which epoch is best. Whether low or high is better
        follows from the metric, as in ``keras.callbacks.EarlyStopping``.
    verbose : int
        With 1 or more, print a line an epoch.
    around_epoch : callable, default=nullcontext
        Makes a context manager for each epoch to run in.

    Returns
    -------
    Training
        History and best epoch.

    Raises
    ------
    ValueError
        If there is no metric called `monitor`.

    Warns
    -----
    ConvergenceWarning
        If the training loss is no longer finite; training then stops.
    """
    history: dict[str, list[float]] = defaultdict(list)
    stopper = keras.callbacks.EarlyStopping(
        monitor=monitor,
        patience=epochs if patience is None else patience,
        restore_best_weights=True,
    )
    stopper.set_model(network)
    network.stop_training = False
    stopper.on_train_begin()
    for epoch in range(epochs):
        with around_epoch():
            logs = _run_epoch(network, batches, held_out, epoch)
        if held_out is not None and monitor not in logs:
            raise ValueError(
                f"monitor={monitor!r} is not among the metrics of this network: "
                f"{sorted(logs)}."
            )
        for name, value in logs.items():
            history[name].append(value)
        report("epoch", epoch=epoch + 1, epochs=epochs, logs=logs)
        if verbose:
            values = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
            print(
                f"[CNNClassifier] epoch {epoch + 1} of {epochs}: {values}", flush=True
            )
        if not math.isfinite(logs["loss"]):
            warnings.warn(
                f"The training loss is {logs['loss']} in epoch {epoch + 1}: training "
                "diverged and was stopped. Try a smaller optimizer__learning_rate, "
                "and check the scale of the images (ImageAugmenter(rescale=1/255)).",
                ConvergenceWarning,
                stacklevel=4,
            )
            break
        if held_out is not None:
            stopper.on_epoch_end(epoch, logs)
            if network.stop_training:
                break
    if isinstance(network.optimizer, keras.optimizers.Optimizer):
        # Copies averaged weights into place, for optimizers that keep them.
        network.optimizer.finalize_variable_values(network.trainable_weights)
    stopper.on_train_end()
    n_epochs = len(history["loss"])
    best = stopper.best_epoch + 1 if held_out is not None else n_epochs
    return Training(dict(history), best)


def _run_epoch(
    network: keras.Model, batches: Batches, held_out: Batches | None, epoch: int
) -> dict[str, float]:
    """Train on all batches once, then evaluate; return the metrics of both."""
    logs = _mean(network, network.train_on_batch, batches.shuffled(epoch))
    if held_out is not None:
        seen = _mean(network, network.test_on_batch, held_out.in_order())
        logs |= {f"val_{name}": value for name, value in seen.items()}
    return logs


def predict_in_batches(network: keras.Model, batches: Batches) -> np.ndarray:
    """Return the outputs of `network`, float64, shape (n_samples, n_outputs)."""
    # Called directly: a compiled function would be traced anew for each network and
    # each size of batch, which costs more than it saves.
    outputs = [
        keras.ops.convert_to_numpy(network(batch.images, training=False))
        for batch in batches.in_order()
    ]
    return np.concatenate(outputs).astype(np.float64)


def _mean(
    network: keras.Model, step: Callable[..., dict], batches: Iterable[Batch]
) -> dict[str, float]:
    """Take a step on each batch; average the metrics by the number of samples."""
    total: dict[str, float] = defaultdict(float)
    samples = 0
    for batch in batches:
        # Only newer versions of Keras do this by themselves.
        network.reset_metrics()
        logs = step(*batch, return_dict=True)
        size = len(batch.targets)
        samples += size
        for name, value in logs.items():
            total[name] += float(value) * size
    return {name: value / samples for name, value in total.items()}
