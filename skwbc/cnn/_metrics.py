"""Names and values of metrics."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from skwbc.cnn._keras_compat import metrics_of


def name_metrics(network: keras.Model) -> None:
    """Give the metrics of a compiled network the names that they have in each fit.

    Keras counts metrics without a name through the whole process: auc, auc_1, and so
    on. Here they are counted anew in each network. Other names are not changed.

    Parameters
    ----------
    network : keras.Model
        Compiled; the names of its metrics are changed.
    """
    numbers: Counter[str] = Counter()
    for metric in metrics_of(network):
        name = _automatic_name(metric)
        if name is not None:
            metric.name = f"{name}_{numbers[name]}" if numbers[name] else name
            numbers[name] += 1


def _automatic_name(metric: keras.Metric) -> str | None:
    """Return the name that Keras has counted up, or None if the user chose a name."""
    stem, _, number = metric.name.rpartition("_")
    for name in (stem,) * number.isdigit() + (metric.name,):
        if name.replace("_", "") == type(metric).__name__.lower():
            return name
    return None


def as_floats(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return the values of metrics as numbers, those in dicts by their own names.

    Parameters
    ----------
    logs : mapping of str to array, float or mapping
        Returned by Keras' steps.

    Raises
    ------
    ValueError
        If a metric has several values, such as one per class.
    """
    values: dict[str, float] = {}
    for name, value in logs.items():
        if isinstance(value, Mapping):
            values |= as_floats(value)
            continue
        value = np.asarray(value)
        if value.size != 1:
            raise ValueError(
                f"The metric {name!r} has {value.size} values, such as one per class; "
                "expected a single one. Average them, as in metrics="
                "[keras.metrics.F1Score(average='macro')]."
            )
        values[name] = float(value.item())
    return values
