"""The version of the package, which packaging tools read from here."""

__version__ = "0.1.0"
