"""Looking at fitted ensembles: scores, tables and pictures."""

from typing import TYPE_CHECKING

from skwbc._lazy_door import lazy_door

if TYPE_CHECKING:
    from skwbc.inspection._augmentations import plot_augmentations
    from skwbc.inspection._disagreement import MemberDisagreementDisplay
    from skwbc.inspection._evaluation import evaluate, training_table
    from skwbc.inspection._grad_cam import grad_cam, plot_grad_cam
    from skwbc.inspection._label_issues import find_label_issues, plot_label_issues
    from skwbc.inspection._least_certain import plot_least_certain
    from skwbc.inspection._near_duplicates import find_near_duplicates
    from skwbc.inspection._plots import plot_predictions
    from skwbc.inspection._predictions import describe_predictions
    from skwbc.inspection._reliability import ReliabilityDisplay
    from skwbc.inspection._training_curves import TrainingCurvesDisplay

_HOMES = {
    "MemberDisagreementDisplay": "skwbc.inspection._disagreement",
    "ReliabilityDisplay": "skwbc.inspection._reliability",
    "TrainingCurvesDisplay": "skwbc.inspection._training_curves",
    "describe_predictions": "skwbc.inspection._predictions",
    "evaluate": "skwbc.inspection._evaluation",
    "find_label_issues": "skwbc.inspection._label_issues",
    "find_near_duplicates": "skwbc.inspection._near_duplicates",
    "grad_cam": "skwbc.inspection._grad_cam",
    "plot_augmentations": "skwbc.inspection._augmentations",
    "plot_grad_cam": "skwbc.inspection._grad_cam",
    "plot_label_issues": "skwbc.inspection._label_issues",
    "plot_least_certain": "skwbc.inspection._least_certain",
    "plot_predictions": "skwbc.inspection._plots",
    "training_table": "skwbc.inspection._evaluation",
}

__all__ = [
    "MemberDisagreementDisplay",
    "ReliabilityDisplay",
    "TrainingCurvesDisplay",
    "describe_predictions",
    "evaluate",
    "find_label_issues",
    "find_near_duplicates",
    "grad_cam",
    "plot_augmentations",
    "plot_grad_cam",
    "plot_label_issues",
    "plot_least_certain",
    "plot_predictions",
    "training_table",
]

__getattr__, __dir__ = lazy_door(__name__, _HOMES)
