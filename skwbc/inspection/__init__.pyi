from ._augmentations import plot_augmentations as plot_augmentations
from ._disagreement import MemberDisagreementDisplay as MemberDisagreementDisplay
from ._evaluation import evaluate as evaluate
from ._grad_cam import grad_cam as grad_cam, plot_grad_cam as plot_grad_cam
from ._informative import most_informative as most_informative
from ._label_issues import (
    find_label_issues as find_label_issues,
    plot_label_issues as plot_label_issues,
)
from ._least_certain import plot_least_certain as plot_least_certain
from ._near_duplicates import find_near_duplicates as find_near_duplicates
from ._plots import plot_predictions as plot_predictions
from ._reliability import ReliabilityDisplay as ReliabilityDisplay
from ._training_curves import TrainingCurvesDisplay as TrainingCurvesDisplay
