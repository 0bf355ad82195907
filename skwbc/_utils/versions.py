"""Record the versions that wrote a pickle, and warn if others read it."""

import sys
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

# Increases whenever earlier versions of skwbc cannot read the new pickles.
FORMAT = 1
# Packages that affect predictions: names to import them by, and to install them by.
_PACKAGES = {
    "skwbc": ("skwbc",),
    "sklearn": ("scikit-learn",),
    "keras": ("keras", "keras-nightly"),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly"),
}
_KEY = "_skwbc_written_by"


class NewerFormatError(ValueError):
    """Raised for a pickle in a format that only a later version can read."""


class OtherVersionsWarning(UserWarning):
    """Issued for a pickle that other versions of packages have written."""


class Stamp:
    """The first object in the pickle of an estimator, shared by all estimators in it.

    Reading it compares the versions before the rest of the estimator is read.
    """

    def __reduce__(self):
        return read_stamp, (FORMAT, versions(loaded_only=True))


STAMP = Stamp()


class Stamped:
    """Mixin, before other classes, that stamps the pickles of fitted estimators.

    Pickles of unfitted estimators have no stamp, because caches compare them.
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
    """Compare the versions that wrote a pickle with the installed ones.

    Raises
    ------
    NewerFormatError
        If this version of skwbc cannot read the format.

    Warns
    -----
    OtherVersionsWarning
        If the version of a package differs, so that predictions may differ.
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
            f"The model was written with {', '.join(others)}. Its predictions may "
            "differ here. Install those versions, or train it again.",
            OtherVersionsWarning,
            stacklevel=2,
        )
    return STAMP


# The address in pickles, a module that is always loaded: otherwise cloudpickle, and so
# joblib's workers, would pickle the function's code in place of its address.
read_stamp.__module__ = "skwbc"


def versions(*, loaded_only: bool = False) -> dict[str, str]:
    """Return the versions of the packages without importing them.

    Parameters
    ----------
    loaded_only : bool, default=False
        Leave out packages that are not imported: the model does not use them.

    Returns
    -------
    dict of str to str
        The versions, by the names to import the packages by.
    """
    return {
        name: version
        for name in _PACKAGES
        if (not loaded_only or name in sys.modules) and (version := _version(name))
    }


def _version(name: str) -> str | None:
    # The loaded package may differ from the installed one, as in a checkout.
    loaded = getattr(sys.modules.get(name), "__version__", None)
    return loaded or _installed(name)


@cache
def _installed(name: str) -> str | None:
    from importlib import metadata  # slow, and only needed for packages not loaded

    for distribution in _PACKAGES[name]:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None
