"""The training loop: epochs of batches, a held-out evaluation after each.

It does what ``keras.Model.fit`` does, by Keras' own steps on single batches. Going
without ``fit`` saves building its data pipeline, which on small sets of images takes a
third of the time.
"""

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import keras
from sklearn.exceptions import ConvergenceWarning

from skwbc._utils.progress import report
from skwbc.cnn._batches import Batches
from skwbc.cnn._compiled.trainer import Trainer


class Training(NamedTuple):
    """What a training gave: metrics by epoch, and the epoch that was kept (from 1)."""

    history: dict[str, list[float]]
    best_epoch: int


def train(
    trainer: Trainer,
    batches: Batches,
    held_out: Batches | None,
    *,
    epochs: int,
    patience: int | None,
    monitor: str,
    restore_best_weights: bool,
    verbose: int,
    rates: Iterator[float] | None = None,
    around_epoch: Callable[[], AbstractContextManager] = nullcontext,
) -> Training:
    """Train a network.

    Parameters
    ----------
    trainer : Trainer
        With a held-out set its network ends with the weights of its best epoch, if
        `restore_best_weights` says so.
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
    restore_best_weights : bool
        Whether to end with the weights of the best epoch or with those of the last.
    verbose : int
        With 1 or more, print a line an epoch.
    rates : iterator of float, default=None
        Gives the learning rate of each step. By default it is the optimizer's.
    around_epoch : callable, default=nullcontext
        Makes a context manager for each epoch to run in.

    Returns
    -------
    Training
        History and best epoch.

    Raises
    ------
    ValueError
        If there is no metric called `monitor`, or it may be better low or high.

    Warns
    -----
    ConvergenceWarning
        If the training loss is no longer finite; training then stops.
    """
    history: dict[str, list[float]] = defaultdict(list)
    # It tells the best epoch. The trainer keeps the weights, in half the time.
    stopper = keras.callbacks.EarlyStopping(
        monitor=monitor, patience=epochs if patience is None else patience
    )
    network = trainer.network
    stopper.set_model(network)
    network.stop_training = False
    stopper.on_train_begin()
    for epoch in range(epochs):
        with around_epoch():
            logs = trainer.train(batches.shuffled(epoch), rates)
            if held_out is not None:
                seen = trainer.evaluate(held_out.in_order())
                logs |= {f"val_{name}": value for name, value in seen.items()}
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
                stacklevel=3,
            )
            break
        if held_out is not None:
            try:
                stopper.on_epoch_end(epoch, logs)
            except ValueError as error:
                # Keras would have its callback be told.
                raise ValueError(
                    f"Whether a low or a high {monitor!r} is better is not known. "
                    "Choose a monitor of which Keras knows it: 'val_loss', or one of "
                    "Keras' own metrics, such as 'val_accuracy'."
                ) from error
            if restore_best_weights and stopper.best_epoch == epoch:
                trainer.keep_weights()
            if network.stop_training:
                break
    if isinstance(network.optimizer, keras.optimizers.Optimizer):
        # Copies averaged weights into place, for optimizers that keep them.
        network.optimizer.finalize_variable_values(network.trainable_weights)
    if held_out is None or not restore_best_weights:
        return Training(dict(history), len(history["loss"]))
    trainer.restore_weights()
    return Training(dict(history), stopper.best_epoch + 1)
