"""The one place where private names of scikit-learn are imported.

scikit-learn's own meta-estimators use them, but none of them is promised to stay. If a
version lacks one, ``tests/test_private_names.py`` names it and this file is the place
to replace it. The comments say why no public name does. The private methods that
:class:`~skwbc.SoftVotingClassifier` has from scikit-learn's ``VotingClassifier`` are
listed in that class.
"""
# ruff: noqa: F401

from typing import Any

from sklearn import get_config

# The decorator of `fit`: checks the parameters before it and, from 1.9 on, tears
# callbacks down after it. The public `validate_params` is for functions.
from sklearn.base import _fit_context as fit_context

# Selects rows or columns of arrays, lists, data frames and sparse matrices alike.
# Public functions such as `resample` use it, but also shuffle or copy.
from sklearn.utils import _safe_indexing as safe_indexing

# The vocabulary of `_parameter_constraints`, which has no public name at all.
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_params,
)

# Counts the rows of anything that has rows, and checks and completes sample weights.
# The public checks call both, but return neither.
from sklearn.utils.validation import (
    _check_sample_weight as check_sample_weight,
    _num_samples as num_samples,
)

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator without callbacks, for scikit-learn before 1.9."""


def callback_context(estimator: CallbackSupportMixin, n_subtasks: int = 0) -> Any:
    """Open the tree of tasks of one ``fit``; None before scikit-learn 1.9.

    The method is private, but scikit-learn documents it as the way to support
    callbacks and has no other.
    """
    init = getattr(estimator, "_init_callback_context", None)
    return init and init(max_subtasks=n_subtasks)


def routing_enabled() -> bool:
    """Return whether metadata routing is enabled."""
    return bool(get_config()["enable_metadata_routing"])


def validated(**constraints: list[Any]) -> Any:
    """Return a decorator of functions that checks the named parameters.

    Parameters
    ----------
    **constraints : lists
        What each parameter may be, in the vocabulary of `_parameter_constraints`.
    """
    return validate_params(constraints, prefer_skip_nested_validation=True)
