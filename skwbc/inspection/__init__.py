"""Looking at fitted ensembles: scores, tables and pictures."""

from skwbc.inspection._augmentations import plot_augmentations
from skwbc.inspection._evaluation import describe_predictions, evaluate, training_table
from skwbc.inspection._label_issues import find_label_issues, plot_label_issues
from skwbc.inspection._plots import plot_predictions

__all__ = [
    "describe_predictions",
    "evaluate",
    "find_label_issues",
    "plot_augmentations",
    "plot_label_issues",
    "plot_predictions",
    "training_table",
]
