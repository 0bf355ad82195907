"""Which versions wrote a pickle, and what to say when others read it."""

import sys
import warnings
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any, cast

# Counts up when an earlier skwbc could not read the pickles of a later one.
FORMAT = 1
# Packages that decide what a model says, by the names to import and to install them.
_PACKAGES = {
    "skwbc": ("skwbc",),
    "sklearn": ("scikit-learn",),
    "keras": ("keras", "keras-nightly"),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly"),
}
_KEY = "_skwbc_written_by"


class NewerFormatError(ValueError):
    """A pickle is of a format that only a later version of this package reads."""


class OtherVersionsWarning(UserWarning):
    """A pickle was written with other versions of packages than those that are here."""


class Stamp:
    """Goes first into each pickle of an estimator, and is there once for all of them.

    When it is read it compares versions, before anything else of the estimator is.
    """

    def __reduce__(self):
        return read_stamp, (FORMAT, versions(loaded_only=True))


STAMP = Stamp()


class Stamped:
    """Stamps the pickles of fitted estimators; mixed in before other classes.

    Those that are not fitted predict nothing, and caches tell them by their pickles.
    """

    def __getstate__(self) -> dict[str, Any]:
        state = cast(dict[str, Any], super().__getstate__())
        if any(name.endswith("_") for name in state):
            return {_KEY: STAMP, **state}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = {name: value for name, value in state.items() if name != _KEY}
        super().__setstate__(state)  # type: ignore[misc]


def read_stamp(format_: int, written_by: Mapping[str, str]) -> Stamp:
    """Compare what wrote a pickle with what is here.

    Raises
    ------
    NewerFormatError
        If this version cannot read it.

    Warns
    -----
    OtherVersionsWarning
        If a package has another version here; what it predicts may differ.
    """
    if format_ > FORMAT:
        raise NewerFormatError(
            f"The model was written by skwbc {written_by.get('skwbc', '?')} in format "
            f"{format_}; skwbc {_version('skwbc')} reads up to format {FORMAT}. "
            "Upgrade it: pip install --upgrade skwbc"
        )
    here = versions()
    others = [
        f"{_PACKAGES[name][0]} {version} (here {here[name]})"
        for name, version in written_by.items()
        if here.get(name, version) != version
    ]
    if others:
        warnings.warn(
            f"The model was written with {', '.join(others)}. It may predict otherwise "
            "than there. Install those versions, or train it again.",
            OtherVersionsWarning,
            stacklevel=2,
        )
    return STAMP


# Where pickles look for it.
read_stamp.__module__ = "skwbc.persistence"


def versions(*, loaded_only: bool = False) -> dict[str, str]:
    """Return the versions of the packages, without importing any.

    Parameters
    ----------
    loaded_only : bool, default=False
        Leave out those that are not imported: a model is not made with them.

    Returns
    -------
    dict of str to str
        By the names that they are imported by.
    """
    found = {
        name: _version(name)
        for name in _PACKAGES
        if not loaded_only or name in sys.modules
    }
    return {name: version for name, version in found.items() if version}


def _version(name: str) -> str | None:
    # What is loaded may not be what is installed, as in a checkout.
    loaded = getattr(sys.modules.get(name), "__version__", None)
    return loaded or _installed(name)


@cache
def _installed(name: str) -> str | None:
    for distribution in _PACKAGES[name]:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None
