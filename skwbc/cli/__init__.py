"""The ``skwbc`` command. It contains no algorithms, only calls into the package."""

from skwbc.cli._app import main

__all__ = ["main"]
