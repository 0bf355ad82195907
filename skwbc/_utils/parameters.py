"""Errors that name the right path of a nested parameter."""

import re
from difflib import get_close_matches
from typing import Any, Self


class NamesParameters:
    """Mixin for estimators whose parameters are mostly those of nested estimators."""

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator, or of nested ones by their paths.

        Parameters
        ----------
        **params : dict
            Parameters by name, such as ``estimator__network__cnn__epochs``.

        Returns
        -------
        self : estimator
            The estimator itself.

        Raises
        ------
        ValueError
            If there is no such parameter; the message names similar ones.
        """
        try:
            return super().set_params(**params)  # type: ignore[misc]
        except ValueError as error:
            names = self.get_params()  # type: ignore[attr-defined]
            named = re.match("Invalid parameter '(.+?)' for estimator", str(error))
            wrong = [k for k in params if named and k.endswith(named[1])]
            if not wrong or wrong[0] in names:
                raise
            name, end = wrong[0], f"__{wrong[0].rpartition('__')[2]}"
            same = [each for each in names if each.endswith(end)]
            meant = same or get_close_matches(name, names) or ["a name of get_params()"]
            raise ValueError(
                f"{type(self).__name__} has no parameter {name!r}; expected "
                f"{' or '.join(meant)}."
            ) from None
