"""The one place where private names of scikit-learn are imported.

Everything here is used by scikit-learn's own meta-estimators but carries no promise
of stability, so a change between versions has to be mended in this file only.
"""

from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._chunking import get_chunk_n_rows
from sklearn.utils._metadata_requests import _routing_enabled
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)
from sklearn.utils.validation import _check_sample_weight, _num_samples

check_sample_weight = _check_sample_weight
fit_context = _fit_context
num_samples = _num_samples
routing_enabled = _routing_enabled
safe_indexing = _safe_indexing

__all__ = [
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "get_chunk_n_rows",
    "num_samples",
    "routing_enabled",
    "safe_indexing",
    "validate_parameter_constraints",
    "validate_params",
]
