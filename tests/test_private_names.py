"""Private names of scikit-learn that the package uses. A failure names what has gone.

``skwbc/_utils/sklearn_compat.py`` explains why it uses them and is the place to replace
them; those of ``VotingClassifier`` are used in ``skwbc/ensemble/_voting.py``.
"""

import importlib

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

NAMES = [
    "sklearn.base:_fit_context",
    "sklearn.ensemble:VotingClassifier._collect_probas",
    "sklearn.ensemble:VotingClassifier._validate_estimators",
    "sklearn.utils:_safe_indexing",
    "sklearn.utils._param_validation:HasMethods",
    "sklearn.utils._param_validation:Interval",
    "sklearn.utils._param_validation:StrOptions",
    "sklearn.utils._param_validation:validate_params",
    "sklearn.utils.validation:_check_sample_weight",
    "sklearn.utils.validation:_num_samples",
]
if parse_version(sklearn.__version__) >= parse_version("1.9"):
    NAMES.append("sklearn.callback:CallbackSupportMixin._init_callback_context")


@pytest.mark.parametrize("name", NAMES)
def test_scikit_learn_has(name):
    module, _, path = name.partition(":")
    owner = importlib.import_module(module)
    for attribute in path.split("."):
        assert hasattr(owner, attribute), f"scikit-learn has no {name} any more"
        owner = getattr(owner, attribute)
