"""Run scikit-learn's estimator checks on fold ensembles.

    python benchmarks/conformity.py

Prints a Markdown table for the installed scikit-learn: one row per check, one column
per member. The expected failures, and their reasons, are those of the tests.
"""

import sys
import warnings
from pathlib import Path

import sklearn
from sklearn.utils.estimator_checks import check_estimator

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from test_ensemble_conformity import MEMBERS, expected_failures

from skwbc import KFoldEnsembleClassifier


def main() -> None:
    warnings.simplefilter("ignore")
    results: dict[str, dict[str, str]] = {}
    for member in MEMBERS:
        ensemble = KFoldEnsembleClassifier(member, random_state=0)
        for result in check_estimator(
            ensemble,
            expected_failed_checks=expected_failures(ensemble),
            on_skip=None,
            on_fail=None,
        ):
            outcomes = results.setdefault(result["check_name"], {})
            column = outcomes.setdefault(name_of(member), [])
            column.append(result["status"])
    names = [name_of(member) for member in MEMBERS]
    print(f"scikit-learn {sklearn.__version__}: {len(results)} checks\n")
    print(f"| check | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for check, outcomes in sorted(results.items()):
        cells = [", ".join(sorted(set(outcomes.get(name, ["-"])))) for name in names]
        print(f"| {check.removeprefix('check_')} | {' | '.join(cells)} |")


def name_of(member) -> str:
    return type(member).__name__


if __name__ == "__main__":
    main()
