"""A classifier that predicts with an ONNX file."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from skwbc._utils.lazy_arrays import read_rows
from skwbc.ensemble._averaging import average_members, join_means
from skwbc.ensemble._in_chunks import PredictsInChunks
from skwbc.ensemble._typicality import Chunks, watched
from skwbc.export._session import Session

# Samples per forward pass. More take more memory and are not faster.
_AT_A_TIME = 64


def _detail(name: str, doc: str | None = None) -> Any:
    """Return a property that reads what the file stores beside the graph."""
    return property(lambda self: getattr(self._session.details, name), doc=doc)


class OnnxClassifier(PredictsInChunks):
    """A fitted ensemble in an ONNX file, run by ONNX Runtime.

    It takes samples of the type and size that the ensemble was trained on, and reads
    lazy arrays and memory maps in batches. It imports only ONNX Runtime and NumPy, so
    the first prediction takes a fraction of a second. For that reason it does not
    inherit from scikit-learn's classes, but it works with ``clone``, scorers,
    ``cross_val_score`` and ``VotingClassifier``. The file is read when it is first
    needed. An ONNX model cannot run code of its author, but it can take any amount of
    time and memory.

    Parameters
    ----------
    path : str or path-like
        A file written by :func:`to_onnx`. A pickle of this classifier contains the path
        and not the contents of the file.
    n_threads : int, default=None
        Number of threads for predictions; None means one per core.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_members_ : int
        The number of members of the ensemble.
    known_classes_ : ndarray of shape (n_members, n_classes), bool
        Mask of the classes that each member was trained on.
    image_shape_ : tuple of int
        (height, width, channels) of the images, if the model takes images.
    n_features_in_ : int
        The number of features, if the model takes rows of features.
    input_dtype_ : str
        Type of the samples: "uint8", "float32" or "float64".

    Raises
    ------
    ValueError
        At the first use, if the file is not a complete ONNX model of an ensemble.
    OSError
        If the file cannot be read.
    ImportError
        If ONNX Runtime, which the extra ``onnx`` installs, is missing.

    See Also
    --------
    to_onnx : Write such a file.

    Examples
    --------
    >>> from skwbc.export import OnnxClassifier
    >>> clf = OnnxClassifier("cells.onnx")  # doctest: +SKIP
    >>> clf.predict_proba(images)  # doctest: +SKIP
    """

    __module__ = "skwbc.export"  # where pickles look for it
    # Set it to predict few images: preparing the graph would take longer.
    _few_images = False

    def __init__(
        self, path: str | os.PathLike, *, n_threads: int | None = None
    ) -> None:
        self.path = path
        self.n_threads = n_threads

    classes_: np.ndarray = _detail("classes", "The class labels.")
    known_classes_: np.ndarray = _detail(
        "known_classes", "Mask of the classes that each member was trained on."
    )
    _appearance: dict | None = _detail("appearance")
    _reading: dict | None = _detail("reading")
    _fingerprints: np.ndarray | None = _detail("fingerprints")
    _confusion: np.ndarray | None = _detail("confusion")

    @property
    def n_members_(self) -> int:
        """The number of members of the ensemble."""
        return self._session.n_members

    @property
    def image_shape_(self) -> tuple[int, int, int]:
        """Shape of the images."""
        if len(self._session.shape) != 3:
            raise AttributeError(f"{self.path} takes rows of features, not images.")
        return self._session.shape

    @property
    def n_features_in_(self) -> int:
        """The number of features."""
        if len(self._session.shape) != 1:
            raise AttributeError(f"{self.path} takes images, not rows of features.")
        return self._session.shape[0]

    @property
    def input_dtype_(self) -> str:
        """Type of the samples."""
        return self._session.dtype.name

    @property
    def _held_out_true_proba(self) -> list[np.ndarray]:
        """Probabilities from which prediction sets are computed."""
        scores = self._session.details.held_out_true_proba
        if scores is None:
            raise AttributeError(f"{self.path} has no held-out probabilities.")
        return scores

    def fit(self, X: Any = None, y: Any = None, **params: Any) -> Self:
        """Do nothing, like ``sklearn.frozen.FrozenEstimator``: the model is fitted.

        Parameters
        ----------
        X, y : object
            Ignored.
        **params : dict
            Ignored.

        Returns
        -------
        OnnxClassifier
            The classifier itself.
        """
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the mean of the members' class probabilities, as the file has it.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            Samples of the type and size that the ensemble was trained on.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.

        Raises
        ------
        ValueError
            If no member has probabilities for some sample.

        Warns
        -----
        UserWarning
            If members predict NaN. They are left out of the mean.
        """
        chunks = watched(self._run(X), self._typical)
        return join_means((mean, members) for mean, members, _ in chunks)

    def typicality(self, X: Any) -> np.ndarray:
        """Return p-values of the hypothesis that samples resemble the training samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            As for :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            As from :meth:`skwbc.KFoldEnsembleClassifier.typicality`.

        Raises
        ------
        AttributeError
            If the ensemble in the file has no p-values.
        """
        if self._typical is None:
            raise AttributeError(
                f"{self.path} has no p-values: its ensemble has none, or it was "
                "exported by an earlier version of skwbc."
            )
        return np.concatenate([p for _, p in self._answer_in_chunks(X)])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on labelled samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width, channels)
            As for :meth:`predict_proba`.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        float
        """
        right = self.predict(X) == np.asarray(y)
        return float(np.average(right, weights=sample_weight))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the constructor.

        Parameters
        ----------
        deep : bool, default=True
            Has no effect: no parameter is an estimator.

        Returns
        -------
        dict
        """
        return {"path": self.path, "n_threads": self.n_threads}

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the constructor.

        Parameters
        ----------
        **params : dict
            New values, such as ``n_threads=1``.

        Returns
        -------
        OnnxClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If a parameter does not exist.
        """
        names = self.get_params()
        for name, value in params.items():
            if name not in names:
                raise ValueError(
                    f"Invalid parameter {name!r} for {type(self).__name__}. Valid "
                    f"parameters are {', '.join(names)}."
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        threads = "" if self.n_threads is None else f", n_threads={self.n_threads!r}"
        return f"{type(self).__name__}({self.path!r}{threads})"

    def __getstate__(self) -> dict[str, Any]:
        return self.get_params()

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self):
        # Only scikit-learn calls this, so it has been imported.
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        tags = Tags("classifier", TargetTags(required=True))
        tags.classifier_tags = ClassifierTags()
        tags.input_tags = InputTags(two_d_array=len(self._session.shape) == 1)
        return tags

    @property
    def _session(self) -> Session:
        # A forked process opens the file itself: the session of its parent would wait,
        # once in hundreds of processes, for a lock that a lost thread holds.
        params = (os.fspath(self.path), self.n_threads, os.getpid())
        params_of_session, session = self.__dict__.get("_opened", (None, None))
        if params_of_session == params:
            return session
        path, threads = Path(self.path), self.n_threads
        is_number = isinstance(threads, int | np.integer) and threads > 0
        if threads is not None and not is_number:
            raise ValueError(
                f"n_threads={threads!r}; expected a number of threads, or None."
            )
        session = Session(
            path.read_bytes(), str(path), int(threads or 0), quickly=self._few_images
        )
        self._opened = (params, session)
        return session

    @property
    def _typical(self) -> dict[str, Any] | None:
        """As that of an ensemble, without what the graph contains."""
        n_samples = self._session.details.n_typicality_samples
        if n_samples is None:
            return None
        return {"n_samples": n_samples, "watched": len(self._session.shape) == 3}

    def _answer_in_chunks(self, X: Any, *, with_p: bool = False) -> Chunks:
        return ((members, p) for _, members, p in self._run(X))

    def _run(self, X: Any) -> Iterator[tuple]:
        """Yield mean probabilities, those of the members, and p-values, by batch."""
        session = self._session
        if not (hasattr(X, "shape") and hasattr(X, "dtype")):
            X = np.asarray(X)
        if tuple(X.shape[1:]) != session.shape or not len(X):
            expected = ", ".join(map(str, ("n_samples", *session.shape)))
            single = " Pass X[np.newaxis]." * (tuple(X.shape) == session.shape)
            raise ValueError(
                f"{self.path} takes arrays of shape ({expected}) with at least one "
                f"sample; got an array of shape {tuple(X.shape)}.{single}"
            )
        for start in range(0, len(X), _AT_A_TIME):
            rows = read_rows(X, slice(start, start + _AT_A_TIME))
            mean, members, p = session.run(self._converted(rows, session.dtype))
            if np.isnan(mean).any():
                mean = average_members(members, session.details.known_classes)
            yield mean, members, p

    def _converted(self, rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return samples in the type of the model if no information is lost."""
        fits = rows.dtype.kind in "buif"
        if dtype == np.uint8 and fits:
            # Floats between 0 and 1 would silently become black.
            fits = rows.dtype.kind != "f" and rows.min() >= 0 and rows.max() <= 255
        if not fits:
            raise ValueError(
                f"{self.path} takes samples of type {dtype}, on the scale of its "
                f"training data; got an array of type {rows.dtype}."
            )
        if dtype.kind == "f" and self._appearance is not None:
            # Imported here, because it imports OpenCV.
            from skwbc.augmentation._appearance import check_scale

            check_scale(self._appearance, rows, str(self.path))
        rows = rows.astype(dtype, copy=False)
        if dtype.kind == "f" and not np.isfinite(rows).all():
            raise ValueError(
                f"X has NaN, infinity or values too large for {dtype}. Replace them, "
                "or leave those samples out."
            )
        return rows
