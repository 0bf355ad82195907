"""Arrays whose rows are read on demand."""

import copy
import mmap
import operator
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

import numpy as np

# Number of samples that a network predicts at a time. Chunks are whole batches.
PREDICTION_BATCH = 64
_Item = TypeVar("_Item")


class LazyArray:
    """An array-like whose rows are read, decoded or computed on demand.

    Selecting rows returns another lazy array over the same source; converting to an
    array reads the rows. Subclasses define the source.

    Parameters
    ----------
    n_rows : int
        Number of rows of the source.
    row_shape : iterable of int
        Shape of each.

    Attributes
    ----------
    shape : tuple of int
        (n_selected_rows, ...).
    dtype : dtype
        Type of the rows.
    ndim : int
        Length of `shape`.
    """

    dtype: np.dtype

    def __init__(self, n_rows: int, row_shape: Iterable[int]) -> None:
        self._rows, self._row_shape = np.arange(n_rows), tuple(row_shape)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of the source, a new array of type `dtype`."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of selected rows, then the shape of each."""
        return (len(self._rows), *self._row_shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype})"

    def __getitem__(self, key: Any) -> Any:
        """Return the row for an int, and a lazy selection for any other key.

        Parameters
        ----------
        key : int, slice, boolean mask or array-like of int
            Selection along the first axis. As in NumPy it may be followed by an
            ellipsis.

        Returns
        -------
        ndarray or LazyArray of the same kind
        """
        if isinstance(key, tuple):
            if len(key) == 2 and key[1] is Ellipsis:
                return self[key[0]]
            raise IndexError(
                f"{type(self).__name__} can be indexed along its first axis only; use "
                "np.asarray(...) and index that."
            )
        if not isinstance(key, slice):
            if np.ndim(key) == 0:
                return self._read(self._rows[operator.index(key)][np.newaxis])[0]
            key = as_index(key)
        selection = copy.copy(self)
        selection._rows = self._rows[key]
        return selection

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"Reading a {type(self).__name__} always makes a copy.")
        out = self._read(self._rows)
        return out if dtype is None else out.astype(dtype, copy=False)

    def reshape(self, *shape: Any) -> np.ndarray:
        """Read all rows and return them in another shape, as ``ndarray.reshape``."""
        return np.asarray(self).reshape(*shape)


class ArrayRows(LazyArray):
    """Rows of an array or memory map, copied out of it on demand.

    Parameters
    ----------
    array : ndarray
        Array with at least two axes. It is neither copied nor changed.
    rows : array-like of int
        Indices of the rows, in order.
    """

    def __init__(self, array: np.ndarray, rows: Any) -> None:
        super().__init__(len(array), array.shape[1:])
        self._array = array
        self.dtype = array.dtype
        self._rows = self._rows[rows]

    def _read(self, rows: np.ndarray) -> np.ndarray:
        return read_rows(self._array, rows)


def as_index(key: Any) -> np.ndarray:
    """Return an array-like index as an array, of integers even if it is empty."""
    return np.asarray(key) if len(key) else np.empty(0, np.intp)


def select_rows(X: Any, rows: np.ndarray) -> Any:
    """Return rows of an array or a lazy array that are copied on demand."""
    return ArrayRows(X, rows) if isinstance(X, np.ndarray) else X[rows]


def positions_of(X: Any, rows: Any) -> np.ndarray:
    """Return the positions of rows in the array that they were selected from.

    Parameters
    ----------
    X : array-like
        Return value of :func:`select_rows`, or any array.
    rows : slice or ndarray of int
        Rows of `X`.

    Returns
    -------
    ndarray of int
    """
    if isinstance(X, ArrayRows):
        return X._rows[rows]
    return np.arange(*rows.indices(len(X))) if isinstance(rows, slice) else rows


def read_rows(X: Any, rows: Any) -> np.ndarray:
    """Return rows of an array-like as an array in memory.

    Parameters
    ----------
    X : array-like
        An array, a memory map, a :class:`LazyArray`, or that of another library.
    rows : slice or ndarray of int
        Rows of `X`.

    Returns
    -------
    ndarray
        A view if `X` is an array in memory and `rows` a slice; otherwise a copy.
    """
    if not (isinstance(rows, slice) or isinstance(X, np.ndarray | LazyArray)):
        # A data set of h5py, for instance, takes positions only in rising order.
        rising, where = np.unique(rows, return_inverse=True)
        return np.asarray(X[rising])[where]
    if not isinstance(X, np.memmap):
        return np.asarray(X[rows])
    out = np.array(X[rows])
    # Pages that were read count as memory of this process as long as the file is
    # mapped. Only those of a read-only map may be released: others may have changes.
    if X.mode == "r" and hasattr(mmap, "MADV_DONTNEED"):
        X._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
    return out


def read_ahead(batches: Iterator[_Item], n_batches: int) -> Iterator[_Item]:
    """Read each batch in another thread while the caller uses the one before it.

    Parameters
    ----------
    batches : iterator
        Reads, decodes or augments a batch in each step.
    n_batches : int
        How many it has. With one nothing is gained, and no thread started.

    Yields
    ------
    object
        Each batch.
    """
    if n_batches < 2:
        yield from batches
        return
    read = partial(copy_context().run, next, batches)
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(read)
        for _ in range(n_batches - 1):
            batch = coming.result()
            coming = thread.submit(read)
            yield batch
        yield coming.result()


def spread(n: int, at_most: int) -> np.ndarray:
    """Return positions that are evenly spread over a range, without repetitions."""
    return np.unique(np.linspace(0, n - 1, at_most).astype(int))


def without_tensors(value: Any) -> Any:
    """Return a tensor of TensorFlow, PyTorch or JAX as an array.

    Rows of tensors cannot be selected as NumPy does it. Other values stay unchanged.
    """
    kind = type(value)
    is_tensor = hasattr(kind, "__dlpack__") or hasattr(kind, "numpy")
    if is_tensor and hasattr(kind, "__array__") and not isinstance(value, np.ndarray):
        return np.asarray(value)
    return value


def is_lazy(X: Any) -> bool:
    """Return whether the rows of `X` are read on demand."""
    return isinstance(X, LazyArray | np.memmap)
