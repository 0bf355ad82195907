"""The ``skwbc`` command. It contains no algorithms, only calls into the package."""

import gc
import sys
from collections.abc import Sequence

from skwbc.cli._interrupts import keeping_interrupts

__all__ = ["main"]

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit code: 0 for success, 2 for wrong arguments or input, 1 if some images
        could not be read or after an unexpected error, 130 if interrupted.
    """
    # Imports make hundreds of thousands of objects and leave no garbage.
    gc.set_threshold(50_000, 20, 100)
    try:
        with keeping_interrupts():
            # Typer takes a while to load, in which the user may press Ctrl-C.
            from skwbc.cli._app import run
        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        print("skwbc: error: interrupted.", file=sys.stderr)
        # If the interrupt came in an `exec` of text, as imports of Keras have, Python
        # keeps a note that it was not handled, and `python -m` ends by the signal, not
        # with the exit code. The next `exec` of text deletes the note.
        exec("")
        return INTERRUPTED
