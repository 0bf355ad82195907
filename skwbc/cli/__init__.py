"""The ``skwbc`` command. It is thin: all work is done by calls into the package."""

from skwbc.cli._app import main

__all__ = ["main"]
