from ._count import write_count_report as write_count_report
from ._evaluation import write_evaluation_report as write_evaluation_report
from ._training import write_training_report as write_training_report
