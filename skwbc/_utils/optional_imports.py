"""Libraries that not every user needs, imported where they are used."""

import importlib
from types import ModuleType


def import_optional(module: str, extra: str, purpose: str) -> ModuleType:
    """Import `module`, or say which extra of skwbc brings it.

    Parameters
    ----------
    module : str
        Name of the module.
    extra : str
        The extra of this package that installs it.
    purpose : str
        What it is needed for, as the beginning of a sentence.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{purpose} needs {package}, which is not installed. Install it with "
            f"`pip install 'skwbc[{extra}]'`."
        ) from error
