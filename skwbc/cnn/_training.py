"""The training loop: epochs of batches, and evaluations on the validation set.

It does the same as ``keras.Model.fit``, with Keras' own steps on single batches. The
data pipeline of ``Model.fit`` would add a third to the time on small sets of images.
"""

import gc
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skwbc._utils.progress import subtask, task
from skwbc.cnn._batches import Batches
from skwbc.cnn._compiled.identity import runs_on_tensorflow
from skwbc.cnn._compiled.trainer import Trainer

# Evaluations on the validation set when they only draw a curve.
_POINTS = 10
# Bytes of networks after which Python's garbage collector is called.
_GARBAGE_LIMIT = 100_000_000
_garbage = 0


@contextmanager
def trainer_for(network: keras.Model) -> Iterator[Trainer]:
    """Yield a trainer that starts from a network, and copy the trained weights back.

    Parameters
    ----------
    network : keras.Model
        Compiled. It has the trained weights after the block; its optimizer may stay as
        it was.

    Yields
    ------
    Trainer
        Its network is `network`, or another of its kind that was compiled for an
        earlier fit. Not to be used after the block or by several threads.
    """
    _collect_garbage(network)
    if not runs_on_tensorflow(network):
        yield Trainer(network)
        return

    from skwbc.cnn._compiled.reuse import compiled_trainer_for

    with compiled_trainer_for(network) as trainer:
        yield trainer


def _collect_garbage(network: keras.Model) -> None:
    """Free earlier networks once they take many MB.

    They contain reference cycles, and as Python objects they are small, so the garbage
    collector would not run for a long time.
    """
    global _garbage
    # The network, and the copy of it that keeps the best weights.
    _garbage += 8 * network.count_params()
    if _garbage >= _GARBAGE_LIMIT:
        _garbage = 0
        gc.collect()


def train(
    trainer: Trainer,
    batches: Batches,
    held_out: Batches | None,
    settings: Any,
    context: Any,
) -> tuple[dict[str, list[float]], int]:
    """Train a network.

    Parameters
    ----------
    trainer : Trainer
        Its network is trained.
    batches : Batches
        Training set.
    held_out : Batches or None
        Validation set. If it decides when training stops or which epoch is kept, it is
        evaluated after each epoch, otherwise after about ten of them.
    settings : CNNClassifier
        Its parameters `epochs`, `patience`, `monitor`, `restore_best_weights`,
        `learning_rate_schedule`, `warmup_fraction` and `verbose` are read.
    context : CallbackContext or None
        The task of the fit, for callbacks.

    Returns
    -------
    history : dict of str to list of float
        Metrics by epoch. Those on the validation set are NaN for epochs after which it
        was not evaluated.
    best_epoch : int
        The epoch whose weights were kept, from 1.

    Raises
    ------
    ValueError
        If there is no metric called `monitor`, Keras does not know whether it should be
        low or high, or the optimizer has a schedule besides "cosine".

    Warns
    -----
    ConvergenceWarning
        If the training loss is no longer finite; training then stops.
    """
    network, epochs = trainer.network, settings.epochs
    restore = held_out is not None and settings.restore_best_weights
    decides = held_out is not None and (restore or settings.patience is not None)
    n_points = epochs if decides else _POINTS
    evaluated = np.linspace(0, epochs - 1, n_points, dtype=int)
    rates = None
    if settings.learning_rate_schedule == "cosine":
        steps = len(batches) * epochs
        rates = cosine_rates(network.optimizer, steps, settings.warmup_fraction)
    # The callback finds the best epoch. The trainer keeps its weights, which takes half
    # the time.
    stopper = keras.callbacks.EarlyStopping(
        monitor=settings.monitor, patience=settings.patience or epochs
    )
    stopper.set_model(network)
    network.stop_training = False
    stopper.on_train_begin()
    history: dict[str, list[float]] = {}
    for epoch in range(epochs):
        with task(
            settings,
            subtask(context, "epoch"),
            end="epoch",
            epoch=epoch + 1,
            epochs=epochs,
        ) as details:
            details["logs"] = logs = trainer.train(batches.shuffled(epoch), rates)
            if held_out is not None and epoch in evaluated:
                metrics = trainer.evaluate(held_out.in_order())
                logs |= {f"val_{name}": value for name, value in metrics.items()}
        if decides and settings.monitor not in logs:
            raise ValueError(
                f"monitor={settings.monitor!r} is not among the metrics of this "
                f"network: {sorted(logs)}."
            )
        # The first epoch is always evaluated, and has all names.
        for name in logs if epoch == 0 else history:
            history.setdefault(name, []).append(logs.get(name, math.nan))
        if settings.verbose:
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
        if decides:
            try:
                stopper.on_epoch_end(epoch, logs)
            except ValueError as error:
                # Keras' message is about an argument of its callback.
                raise ValueError(
                    f"Keras does not know whether {settings.monitor!r} should be low "
                    "or high. Choose another monitor: 'val_loss', or one of Keras' own "
                    "metrics, such as 'val_accuracy'."
                ) from error
            if restore and stopper.best_epoch == epoch:
                trainer.keep_weights()
            if network.stop_training:
                break
    if isinstance(network.optimizer, keras.optimizers.Optimizer):
        # Optimizers that average the weights assign the averages here.
        network.optimizer.finalize_variable_values(network.trainable_weights)
    if not restore:
        return history, len(history["loss"])
    trainer.restore_weights()
    return history, stopper.best_epoch + 1


def cosine_rates(
    optimizer: keras.optimizers.Optimizer, steps: int, warmup_fraction: float
) -> Iterator[float]:
    """Yield the learning rate of each training step: a linear rise, then a cosine.

    The values are those of ``keras.optimizers.schedules.CosineDecay``. That would be
    part of what is compiled, and compiled again for each number of steps.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        Its learning rate is the highest.
    steps : int
        Number of training steps.
    warmup_fraction : float
        Fraction of them in which the rate rises from zero.

    Returns
    -------
    iterator of float
        One value per step.

    Raises
    ------
    ValueError
        If the optimizer already has a schedule.
    """
    if not isinstance(optimizer.learning_rate, keras.Variable):
        raise ValueError(
            "learning_rate_schedule='cosine' needs an optimizer whose learning rate is "
            "a number, but this one has a schedule of its own. Set "
            "learning_rate_schedule='constant' to use that."
        )
    peak = float(optimizer.learning_rate)
    warmup = round(warmup_fraction * steps)
    fall = max(steps - warmup, 1)
    return (
        peak * step / warmup
        if step < warmup
        else peak * (1 + math.cos(math.pi * (step - warmup) / fall)) / 2
        for step in range(steps)
    )
