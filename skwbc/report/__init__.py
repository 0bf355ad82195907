"""Reports of a training and of an evaluation, each one HTML file that needs no other.

They need the extra ``report``.
"""

from typing import TYPE_CHECKING

from skwbc._lazy_door import lazy_door

if TYPE_CHECKING:
    from skwbc.report._evaluation import write_evaluation_report
    from skwbc.report._training import write_training_report

_HOMES = {
    "write_evaluation_report": "skwbc.report._evaluation",
    "write_training_report": "skwbc.report._training",
}

__all__ = ["write_evaluation_report", "write_training_report"]

__getattr__, __dir__ = lazy_door(__name__, _HOMES)
