"""The `skwbc` command: train, evaluate and export fold ensembles, and predict.

All work is done by calls into the package. Errors that the package raises about its
input become one line on standard error and exit code 2.
"""

import io
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from skwbc._utils.files import reason
from skwbc._utils.version import __version__
from skwbc.cli import INTERRUPTED
from skwbc.cli._data import complain
from skwbc.cli._demo import demo
from skwbc.cli._export import export
from skwbc.cli._fields import count, crop
from skwbc.cli._interrupts import keeping_interrupts
from skwbc.cli._options import SOME_FAILED, WRONG_USE
from skwbc.cli._predict import evaluate, predict
from skwbc.cli._train import train

app = typer.Typer(
    name="skwbc",
    help="Classify small sets of microscope images with an ensemble of networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help comes in half the time.
    rich_markup_mode=None,
)


def _show_version(value: bool) -> None:
    if value:
        print(f"skwbc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks of errors.")
    ] = False,
) -> None:
    """Classify small sets of microscope images with an ensemble of networks."""
    # `main` handles --debug, so that it works after a command, too.


# In the order of the help.
for _command in (demo, train, evaluate, predict, export, crop, count):
    app.command()(_command)


def run(arguments: Sequence[str]) -> int:
    """Run the command, and return its exit code.

    Raises
    ------
    KeyboardInterrupt
        If it was interrupted.
    """
    debug = "--debug" in arguments
    # Python sets closed streams to None; the next file would get their descriptors.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # File names may contain bytes that are not text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Images that cannot be decoded are reported by the package, not by OpenCV.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    arguments = [word for word in arguments if word != "--debug"]
    try:
        with keeping_interrupts(), warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            code = app(
                arguments or ["--help"],
                prog_name="skwbc",
                standalone_mode=False,
                # Shown in reports.
                obj=shlex.join(["skwbc", *arguments]),
            )
        if code == INTERRUPTED:  # Typer returns this code instead of raising.
            raise KeyboardInterrupt
        if not arguments:
            return WRONG_USE
        return code if isinstance(code, int) else 0
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except Exception as error:
        if debug:
            raise
        if isinstance(error, TyperException):
            message = error.format_message().rstrip(".")
            complain(f"{message}. See skwbc --help.")
        elif isinstance(error, ValueError | OSError | ImportError):
            complain(reason(error))
        elif isinstance(error, MemoryError):
            complain(
                f"not enough memory: {str(error) or 'for these images'}. Use fewer or "
                "smaller images (--image-size), or a machine with more memory."
            )
        else:
            complain(
                f"unexpected {type(error).__name__}: {error}. Run the command again "
                "with --debug to see the traceback, and please report it."
            )
            return SOME_FAILED
        return WRONG_USE


def _show_warning(message: Warning | str, *_: Any) -> None:
    """Show a warning as one line, without its place in the code."""
    complain(str(message), "warning")
