"""Shares of classes, corrected for the confusions of the classifier."""

import numpy as np

_DRAWS, _STEPS = 1000, 200
# In all, added to each row of counts, so that no confusion is impossible.
_PRIOR = 1.0
# Added to each count: a class without a counted cell may still occur.
_SOME = 0.3


def adjusted_shares(
    counts: np.ndarray, confusion: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Estimate the true shares of classes from counts of predictions.

    Parameters
    ----------
    counts : ndarray of shape (n_classes,), int
        Number of cells predicted as each class, not all 0.
    confusion : ndarray of shape (n_classes, n_classes), int
        Held-out cells by true class (rows) and predicted class.

    Returns
    -------
    shares, low, high : ndarray of shape (n_classes,), float
        Most probable shares, and the ends of their 95 % intervals.

    Notes
    -----
    A confusion matrix is inverted as in [1]_, by expectation maximisation: unlike a
    matrix inverse, the shares that make the counts most probable are never negative.
    The interval has the quantiles of 1,000 inversions, for which both the counts and
    each row of the confusion matrix are drawn by the Bayesian bootstrap [2]_. So it
    covers both how few cells were counted and how few were held out. It is assumed that
    cells of a class are confused as often as the held-out cells.

    References
    ----------
    .. [1] W. J. Rogan, B. Gladen. "Estimating prevalence from the results of a
       screening test", American Journal of Epidemiology 107(1), 71-76, 1978.
    .. [2] D. B. Rubin. "The Bayesian bootstrap", Annals of Statistics 9(1), 130-134,
       1981.
    """
    rng = np.random.default_rng(0)
    n = len(counts)
    # A class without held-out cells is taken to be recognised as often as not.
    prior = _PRIOR * (np.eye(n) + 1 / n) / 2
    rows = [rng.dirichlet(row, _DRAWS) for row in confusion + prior]
    drawn = _invert(rng.dirichlet(counts + _SOME, _DRAWS), np.stack(rows, axis=1))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    rates = (confusion + prior) / (confusion + prior).sum(axis=1, keepdims=True)
    shares = _invert(counts[np.newaxis] / counts.sum(), rates[np.newaxis])[0]
    return shares, np.minimum(low, shares), np.maximum(high, shares)


def _invert(observed: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Return the shares that make shares of predictions most probable.

    Parameters
    ----------
    observed : ndarray of shape (n, n_classes)
        Shares of predictions.
    rates : ndarray of shape (n, n_classes, n_classes)
        Probabilities of predictions for each true class.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    shares = np.full_like(observed, 1 / observed.shape[1], dtype=float)
    for _ in range(_STEPS):
        expected = np.einsum("bi,bij->bj", shares, rates)
        shares *= np.einsum("bij,bj->bi", rates, observed / expected)
    return shares


def wilson(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of 95 % intervals of Wilson for shares of counted cells."""
    n, z = counts.sum(), 1.96
    middle = (counts + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(counts * (n - counts) / n + z**2 / 4)
    return middle - half, middle + half
