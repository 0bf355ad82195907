"""Looking at fitted ensembles: scores, tables and pictures."""

from typing import TYPE_CHECKING

from skwbc._lazy_door import lazy_door

if TYPE_CHECKING:
    from skwbc.inspection._augmentations import plot_augmentations
    from skwbc.inspection._evaluation import evaluate, training_table
    from skwbc.inspection._label_issues import find_label_issues, plot_label_issues
    from skwbc.inspection._plots import plot_predictions
    from skwbc.inspection._predictions import describe_predictions

_HOMES = {
    "describe_predictions": "skwbc.inspection._predictions",
    "evaluate": "skwbc.inspection._evaluation",
    "find_label_issues": "skwbc.inspection._label_issues",
    "plot_augmentations": "skwbc.inspection._augmentations",
    "plot_label_issues": "skwbc.inspection._label_issues",
    "plot_predictions": "skwbc.inspection._plots",
    "training_table": "skwbc.inspection._evaluation",
}

__all__ = [
    "describe_predictions",
    "evaluate",
    "find_label_issues",
    "plot_augmentations",
    "plot_label_issues",
    "plot_predictions",
    "training_table",
]

__getattr__, __dir__ = lazy_door(__name__, _HOMES)
