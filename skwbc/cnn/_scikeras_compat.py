"""The only module that uses scikeras, and the list of what is used of it.

:class:`RoutedClassifier` inherits from scikeras' ``KerasClassifier``:

- *routed parameters*: whatever ``__init__`` sets is a parameter, so that
  ``optimizer__learning_rate`` or ``model__dropout`` can be read, set and cloned
  (``get_params``, ``set_params``, ``_get_param_names``, ``_routing_prefixes``);
- ``_build_keras_model``, which calls the builder with the parameters routed to it and
  with `meta` if it takes that (``_check_model_param``, ``_get_metadata``,
  ``_random_state``);
- ``_get_compile_kwargs``, which makes optimizer, loss and metrics from names or classes
  and the parameters routed to them;
- the type, for code that tests for a ``KerasClassifier``.

scikeras has no public methods for building and compiling without training. Its
training, prediction, validation, encoding of labels, scoring, tags and pickling are not
used: they do not fit current versions of scikit-learn, or store too much.
"""

import difflib
from collections.abc import Callable, Iterable
from typing import Any, Self

import keras
from scikeras.wrappers import KerasClassifier
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import ClassifierTags

from skwbc.cnn._networks import find_builder
from skwbc.cnn._settings import check_compile_arguments, copy_metric

_ROUTES = ("model", "optimizer", "loss", "metrics", "compile")


class RoutedClassifier(KerasClassifier):
    """A classifier that builds and compiles networks from routed parameters."""

    # Read by scikeras. Given a seed, it would make the operations of TensorFlow
    # deterministic for the whole process.
    _random_state = None
    _routing_prefixes = set(_ROUTES)

    __repr__ = BaseEstimator.__repr__
    score = ClassifierMixin.score

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this classifier.

        Parameters
        ----------
        **params : dict
            Constructor parameters and routed parameters (``optimizer__...``).

        Returns
        -------
        CNNClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        self._check_names(params, ValueError)
        return super().set_params(**params)

    def _check_names(self, names: Iterable[str], error: type[Exception]) -> None:
        """Raise an error for a name that is neither a parameter nor routed."""
        parameters = sorted(self.get_params(deep=False))
        for name in names:
            route, _, rest = name.partition("__")
            if name in parameters or (rest and route in _ROUTES):
                continue
            close = difflib.get_close_matches(name, parameters, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise error(
                f"Invalid parameter {name!r} for estimator {type(self).__name__}.{hint}"
                f" Parameters are {parameters}, and routed ones that begin with "
                f"{', '.join(route + '__' for route in _ROUTES)}."
            )

    def _build(self, **meta: Any) -> Any:
        """Return what the builder returns, given `meta` and its routed parameters."""
        # scikeras takes `meta` from the attributes that end in "_". They are set on a
        # draft, so that a fit that fails leaves an earlier one as it was.
        draft = type(self).__new__(type(self))
        draft.__dict__.update(self.get_params(deep=False) | meta)
        return draft._build_keras_model()

    def _check_model_param(self) -> Callable[..., keras.Model]:
        # scikeras takes the builder from here; its own method refuses import paths.
        return find_builder(self.model)

    def _compile(self, network: keras.Model) -> None:
        """Compile a network unless its builder has done so."""
        if not network.compiled:
            check_compile_arguments(
                optimizer=self.optimizer, loss=self.loss, metrics=self.metrics
            )
            arguments = self._get_compile_kwargs()
            # fit must not change instances given by the user.
            optimizer = arguments["optimizer"]
            if optimizer is self.optimizer:
                optimizer = type(optimizer).from_config(optimizer.get_config())
            for name in arguments.keys() & {"metrics", "weighted_metrics"}:
                arguments[name] = keras.tree.map_structure(copy_metric, arguments[name])
            network.compile(**{**arguments, "optimizer": optimizer})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # scikeras declares these in a way that scikit-learn 1.7 no longer reads.
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags(poor_score=True)
        tags.target_tags.required = True
        tags.input_tags.two_d_array = False
        return tags

    def _not_available(self) -> Any:
        """Not available: each call of ``fit`` builds and trains a new network."""
        raise AttributeError(
            f"{type(self).__name__} has neither partial_fit nor initialize; call fit."
        )

    # scikeras' own would train or build a network past the checks of fit.
    partial_fit = initialize = property(_not_available)
