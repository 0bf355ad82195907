"""Import libraries that not every user needs."""

import importlib
import os
from types import ModuleType


def import_optional(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a module, or raise an error that names the extra that installs it.

    Parameters
    ----------
    module : str
        Name of the module.
    extra : str
        The extra of this package that installs it.
    purpose : str
        Feature that needs it, as the beginning of a sentence.

    Raises
    ------
    ImportError
        If the module is not installed.
    """
    # ONNX Runtime would write an identifier into the home folder, and report to its
    # maker what it is used for.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{purpose} needs {package}, which is not installed. Install it with "
            f"`pip install 'skwbc[{extra}]'`."
        ) from error
