"""The one place where private names of scikit-learn are imported.

Everything here is used by scikit-learn's own meta-estimators but carries no promise
of stability, so a change between versions has to be mended in this file only.
"""

from typing import Any

from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._metadata_requests import _routing_enabled
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_params,
)
from sklearn.utils._repr_html.estimator import _VisualBlock
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import _check_sample_weight, _num_samples

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class _NoCallbacks:
        """Stands in for the callback context of scikit-learn 1.9 and newer."""

        def __getattr__(self, name: str) -> Any:
            return lambda *args, **kwargs: self

        def __bool__(self) -> bool:
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator without callbacks, for scikit-learn before 1.9."""

        def _init_callback_context(self, **_: Any) -> _NoCallbacks:
            return _NoCallbacks()


BaseComposition = _BaseComposition
VisualBlock = _VisualBlock
check_sample_weight = _check_sample_weight
fit_context = _fit_context
num_samples = _num_samples
routing_enabled = _routing_enabled
safe_indexing = _safe_indexing

__all__ = [
    "BaseComposition",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "VisualBlock",
    "check_sample_weight",
    "fit_context",
    "num_samples",
    "routing_enabled",
    "safe_indexing",
    "validate_params",
]
