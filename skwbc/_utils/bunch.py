"""Bunches that are short to show."""

from typing import Any

from sklearn.utils import Bunch

from skwbc._utils.names import shown

_LONGEST = 60


class ShortBunch(Bunch):
    """A Bunch that shows sizes in place of pages of pixels."""

    def __repr__(self) -> str:
        lines = [f"  {name}: {_summary(value)}" for name, value in self.items()]
        return "\n".join(["Bunch of", *lines])

    def __reduce__(self) -> tuple:
        # Pickles are those of a plain Bunch.
        return Bunch, (), None, None, iter(self.items())


def _summary(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"{type(value).__name__} of shape {tuple(value.shape)}, {value.dtype}"
    text = shown(str(value).strip().partition("\n")[0])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
