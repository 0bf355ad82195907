"""Conformal p-values for "drawn like the training samples".

Each member describes samples in spaces in which distances mean something (see
``_together``), and scores the samples that were held out from it, so no samples are
given up for it. Nothing but NumPy is loaded before a space is fitted or used.

What an ensemble keeps is a dict: "references", a list of dicts per member, one for each
of its spaces; "spread", how much distances vary among held-out samples; "held_out", for
each member the scores of its held-out samples; "n_samples", the number of samples that
were held out by some member; and "watched", whether predictions warn of samples that
are not typical.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skwbc.ensemble._averaging import is_nested

if TYPE_CHECKING:
    from skwbc.ensemble._folds import Split
    from skwbc.ensemble._members import FittedFold

# Samples with a smaller p-value are said to be unlike the training samples.
LEVEL = 0.05
# With fewer training samples no p-value is below it.
FEWEST = 20
_N_COMPONENTS = 20
N_NEIGHBOURS = 3
# Scores that differ by less count as equal, in spite of rounding.
ROUNDING = 1e-4
# Distances are compared with this quantile of those of held-out samples.
_QUANTILE = 0.95
# Beside directions, other tables mark only what is far off, so they use up little of
# the level. Images of another kind are far off; those of a new class are close.
_FAR_OFF = 1.3
LEAST_RATIO = 1e-9
# Rows whose lengths differ less from 1 are directions.
_UNIT_LENGTH = 1e-3
# Samples that are compared with all points at a time.
_AT_A_TIME = 4096
# Training samples of a member that others are compared with.
MOST_POINTS = 2000
# Chance at which a number of unlike samples is reported.
_CHANCE = 0.01
# A remedy for images that are unlike the training images.
ADVICE = (
    "To recognise images of another laboratory, train again with a few labelled ones "
    "of them, or without colours"
)

Typical = dict[str, Any]
# One per space of a member.
References = Sequence[dict[str, np.ndarray]]
Tables = Sequence[np.ndarray]
# The descriptions of some samples, by each member of an ensemble.
Spaces = Sequence[Sequence[Any]]
# Some samples each: probabilities of the members, and p-values if they are known.
Chunks = Iterator[tuple[np.ndarray, np.ndarray | None]]


class Sufficient(NamedTuple):
    """A space that makes those superfluous that are not sufficient.

    Attributes
    ----------
    table : object
        Features of the samples.
    """

    table: Any


def sufficient(spaces: Sequence[Any]) -> list[Any]:
    """Return the tables of the sufficient spaces if there are any, else all spaces."""
    tables = [each.table for each in spaces if isinstance(each, Sufficient)]
    return tables or list(spaces)


def as_tables(spaces: Sequence[Any]) -> list[np.ndarray]:
    """Return those spaces that count and are tables of numbers, which have distances.

    Parameters
    ----------
    spaces : sequence of object
        Features of the same samples.

    Returns
    -------
    list of ndarray of shape (n_samples, n_features), float64
    """
    arrays = map(_as_array, sufficient(spaces))
    return [each.astype(np.float64) for each in arrays if _is_table(each)]


def _as_array(space: Any) -> Any:
    if hasattr(space, "dtypes") and hasattr(space, "to_numpy"):
        if not all(getattr(dtype, "kind", "O") in "buif" for dtype in space.dtypes):
            return None
        return space.to_numpy()
    # Rows of numbers may come as lists.
    is_list = isinstance(space, list | tuple) and isinstance(space[0], list | tuple)
    return np.asarray(space) if is_list else space


def _is_table(space: Any) -> bool:
    is_table = isinstance(space, np.ndarray) and space.ndim == 2 and space.shape[1] > 0
    return is_table and space.dtype.kind in "buif"


def fit_references(spaces: Sequence[Any]) -> list[dict[str, np.ndarray]]:
    """Learn where training samples lie.

    Parameters
    ----------
    spaces : sequence of object
        Features of training samples of a member.

    Returns
    -------
    list of dict of ndarray
        For each table: "mean" and "scale" of its features, principal "components",
        "points", the coordinates of the samples on them, and "unit" (see
        :func:`calibrate`). Rows of unit length are directions: they are compared as
        they are, so there are no "components", and "points" are the rows. Empty if a
        table is not finite, or has a single sample.
    """
    tables = as_tables(spaces)
    if not all(len(table) > 1 and np.isfinite(table).all() for table in tables):
        return []
    with np.errstate(over="ignore", invalid="ignore"):
        references = [_fit_reference(table) for table in tables]
    finite = all(np.isfinite(each["points"]).all() for each in references)
    return references if finite else []


def _fit_reference(table: np.ndarray) -> dict[str, np.ndarray]:
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    n_features = table.shape[1]
    lengths = np.linalg.norm(table, axis=1)
    # A row without any feature has the length 0.
    beyond = np.minimum(np.abs(lengths - 1), lengths).max()
    if n_features > 1 and beyond < _UNIT_LENGTH < lengths.max():
        return {
            "mean": np.zeros(n_features),
            "scale": np.ones(n_features),
            # Half precision is enough for them, and files are smaller.
            "points": table.astype(np.float16),
            "unit": np.ones(1),
        }
    mean, scale = table.mean(axis=0), table.std(axis=0)
    scale[scale < 1e-12] = 1.0
    table = np.nan_to_num((table - mean) / scale)
    n_components = min(_N_COMPONENTS, len(table) - 1, n_features)
    # Several threads only wait for each other.
    with threadpool_limits(1, user_api="blas"):
        components = PCA(n_components, random_state=0).fit(table).components_
    # In single precision, which halves their size in files.
    components = components.astype(np.float32)
    return {
        "mean": mean,
        "scale": scale,
        "components": components,
        "points": (table @ components.T).astype(np.float32),
        "unit": np.ones(2),
    }


def _distances(reference: dict[str, np.ndarray], table: np.ndarray) -> np.ndarray:
    """Return distances to the nearest points, and to the space of the components."""
    points = reference["points"].astype(np.float64)
    places = (table - reference["mean"]) / reference["scale"]
    left_over = []
    if "components" in reference:
        table, components = places, reference["components"].astype(np.float64)
        places = table @ components.T
        left_over = [np.linalg.norm(table - places @ components, axis=1)]
    nearest = min(N_NEIGHBOURS, len(points)) - 1
    near = np.empty(len(table))
    # For one sample, NearestNeighbors takes as long as the networks of an ensemble.
    for start in range(0, len(table), _AT_A_TIME):
        some = places[start : start + _AT_A_TIME]
        squares = (some**2).sum(axis=1)[:, np.newaxis] + (points**2).sum(axis=1)
        squares = np.maximum(squares - 2 * some @ points.T, 0.0)
        squares = np.partition(squares, nearest, axis=1)[:, : nearest + 1]
        near[start : start + _AT_A_TIME] = np.sqrt(squares).mean(axis=1)
    return np.column_stack([near, *left_over])


def calibrate(references: References, held_out: Sequence[Any]) -> np.ndarray:
    """Set the unit of distances to their median over held-out samples.

    Parameters
    ----------
    references : sequence of dict
        From :func:`fit_references`; "unit" is set.
    held_out : sequence of object
        Features of the held-out samples.

    Returns
    -------
    ndarray of shape (n_held_out, n_distances)
        Their distances.
    """
    tables = as_tables(held_out)
    for reference, table in zip(references, tables, strict=True):
        finite = table[np.isfinite(table).all(axis=1)]
        if len(finite):
            # A table of fewer features than components leaves nothing over.
            unit = np.median(_distances(reference, finite), axis=0)
            reference["unit"] = np.maximum(unit, 1e-6)
    return distances(references, tables)


def distances(references: References, tables: Tables) -> np.ndarray:
    """Return how far samples are from the training samples of a member.

    Parameters
    ----------
    references : sequence of dict
        From :func:`fit_references` and :func:`calibrate`.
    tables : sequence of ndarray of shape (n_samples, n_features)
        Features of the samples.

    Returns
    -------
    ndarray of shape (n_samples, n_distances)
        In each space the mean distance to the three nearest training samples, on the
        principal components if there are any, and then the distance to the space of
        these, each divided by its median over the held-out samples. Infinity for
        missing features.
    """
    columns = []
    for reference, table in zip(references, tables, strict=True):
        ratios = np.full((len(table), len(reference["unit"])), np.inf)
        finite = np.isfinite(table).all(axis=1)
        if finite.any():
            ratios[finite] = _distances(reference, table[finite]) / reference["unit"]
        columns.append(ratios)
    return np.hstack(columns)


def strangeness(ratios: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return one score per sample from its distances.

    Parameters
    ----------
    ratios : ndarray of shape (n_samples, n_distances)
        From :func:`distances`.
    spread : ndarray of shape (n_distances,)
        Logarithm of the quantile 0.95 of each over all held-out samples; of the other
        distances 1.3 times as much if some are between directions.

    Returns
    -------
    ndarray of shape (n_samples,)
        The largest distance on the scale on which 0 is the median of the held-out
        samples, and 1 is that quantile.
    """
    return (np.log(np.maximum(ratios, LEAST_RATIO)) / spread).max(axis=1)


def fits(references: References, tables: Tables) -> bool:
    """Return whether tables have the features that a member was fitted with."""
    shapes = [table.shape[1:] for table in tables]
    return shapes == [each["mean"].shape for each in references]


def _scores_of_members(
    typical: Typical, spaces: Spaces
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield scores of new samples, and of the held-out ones, by each member.

    Members without spaces are left out, and those that were exchanged for others.
    """
    for references, own, of_member in zip(
        typical["references"], typical["held_out"], spaces, strict=True
    ):
        tables = as_tables(of_member) if references else []
        if references and fits(references, tables):
            far = distances(references, tables)
            yield strangeness(far, typical["spread"]), own


def mean_strangeness(typical: Typical, spaces: Spaces) -> np.ndarray | None:
    """Average the scores of new samples over the members that ``p_values`` uses."""
    scores = [scores for scores, _ in _scores_of_members(typical, spaces)]
    return np.mean(scores, axis=0) if scores else None


def p_values(typical: Typical, spaces: Spaces) -> np.ndarray | None:
    """Return cross-conformal p-values of new samples.

    Parameters
    ----------
    typical : dict
        What the ensemble keeps.
    spaces : sequence of length n_members
        The spaces of each member.

    Returns
    -------
    ndarray of shape (n_samples,), or None
        None if all members were exchanged for others after the fit.
    """
    n_at_least: Any = 0
    n_compared = 0
    for scores, own in _scores_of_members(typical, spaces):
        n_at_least += len(own) - np.searchsorted(np.sort(own), scores - ROUNDING)
        n_compared += len(own)
    if not n_compared:
        return None
    n = typical["n_samples"]
    # Samples that were held out by several members count once.
    return (1 + n_at_least * n / n_compared) / (n + 1)


def gather_typical(
    folds: "Sequence[FittedFold]",
    splits: "Sequence[Split]",
    n_samples: int,
    *,
    watched: bool,
) -> dict[str, Any]:
    """Return the attributes of an ensemble about typical samples, if it can have them.

    Parameters
    ----------
    folds : sequence of FittedFold
        The members, with references and held-out scores.
    splits : sequence of (ndarray, ndarray)
        Training and held-out indices of each.
    n_samples : int
        Number of all samples.
    watched : bool
        Whether predictions shall warn of unlike samples.

    Returns
    -------
    dict
        ``_typical``, None if no member has a space, and otherwise ``oof_typicality_``.
    """
    far = [
        fold.distances[np.isfinite(fold.distances).all(axis=1)]
        for fold in folds
        if fold.references
    ]
    # If only the rows of some folds are directions, their distances do not compare.
    if not sum(map(len, far)) or len({each.shape[1] for each in far}) > 1:
        return {"_typical": None}
    spread = np.quantile(np.vstack(far), _QUANTILE, axis=0)
    spread = np.log(np.maximum(spread, 1.01))
    references = next(fold.references for fold in folds if fold.references)
    with_components = np.array(
        ["components" in each for each in references for _ in each["unit"]]
    )
    if not with_components.all():
        spread[with_components] *= _FAR_OFF
    held_out, total, n_scores = [], np.zeros(n_samples), np.zeros(n_samples)
    for fold, (_, rows) in zip(folds, splits, strict=True):
        scores = np.empty(0)
        if fold.references:
            scores = strangeness(fold.distances, spread)
            np.add.at(total, rows, scores)
            np.add.at(n_scores, rows, 1)
        held_out.append(scores)
    scored = n_scores > 0
    scores = total[scored] / n_scores[scored]
    p = np.full(n_samples, np.nan)
    p[scored] = 1 - np.searchsorted(np.sort(scores), scores) / len(scores)
    typical = {
        "references": [fold.references for fold in folds],
        "spread": spread,
        "held_out": held_out,
        "n_samples": len(scores),
        "watched": watched,
    }
    return {"_typical": typical, "oof_typicality_": p}


def is_beyond_chance(n_unlike: int, n_samples: int, n_training: int) -> bool:
    """Return whether so many unlike samples are hardly chance.

    The number of p-values below the level has a beta-binomial distribution for samples
    that are drawn like the training samples: binomial, but for the chance in the
    training samples, which all p-values share [1]_.

    Parameters
    ----------
    n_unlike, n_samples : int
        Number of samples with a p-value below the level, and of all.
    n_training : int
        Number of training samples.

    References
    ----------
    .. [1] V. Vovk. "Conditional validity of inductive conformal predictors." Machine
       Learning 92, 2013.
    """
    a = math.ceil(LEVEL * (n_training + 1)) - 1
    b = n_training + 1 - a
    if a < 1 or n_unlike <= LEVEL * n_samples:
        return False
    gamma = math.lgamma

    def chance(k: int) -> float:
        ways = gamma(n_samples + 1) - gamma(k + 1) - gamma(n_samples - k + 1)
        shares = gamma(k + a) + gamma(n_samples - k + b) - gamma(n_samples + a + b)
        return math.exp(ways + shares + gamma(a + b) - gamma(a) - gamma(b))

    total = 0.0
    for k in range(n_unlike, n_samples + 1):
        # Beyond the mean the chances fall with k.
        total += chance(k)
        if total >= _CHANCE or chance(k) * (n_samples - k) < 1e-6:
            break
    return total < _CHANCE


def describe_unlike(
    n_unlike: int, n_samples: int, n_training: int, kind: str = "samples"
) -> str:
    """Say how many samples are unlike the training samples.

    Parameters
    ----------
    n_unlike, n_samples : int
        Number of samples with a p-value below the level, and of all.
    n_training : int
        Number of training samples.
    kind : str, default="samples"
        What they are.

    Returns
    -------
    str
        A sentence without a full stop.
    """
    if n_training < FEWEST:
        return (
            f"{n_training} training {kind} are too few to tell whether {kind} are "
            f"unlike them; at least {FEWEST} are needed"
        )
    are = "is" if n_unlike == 1 else "are"
    n_expected = LEVEL * n_samples
    expected = f"{n_expected:.0f}" if n_expected >= 1 else "less than 1"
    return (
        f"{n_unlike} of {n_samples} {kind} {are} unlike the training {kind} (p < "
        f"{LEVEL}; {expected} expected)"
    )


def warn_of_unlike(p: np.ndarray, n_training: int, *, stacklevel: int) -> None:
    """Warn if more samples than by chance are unlike the training samples."""
    n_unlike = int((p < LEVEL).sum())
    if is_beyond_chance(n_unlike, len(p), n_training):
        warnings.warn(
            f"{describe_unlike(n_unlike, len(p), n_training)}. Their predictions are "
            f"less reliable. typicality(X) returns the p-value of each. {ADVICE} "
            "(colours=False of make_cell_classifier).",
            stacklevel=stacklevel + 1,
        )


def watched(chunks: Iterator[Any], typical: Typical | None) -> Iterator[Any]:
    """Yield predictions; in the end warn, once, of unlike samples beyond chance.

    Parameters
    ----------
    chunks : iterator of tuple
        Predictions for some samples each; the last item has their p-values or is None.
    typical : dict or None
        What the ensemble keeps.

    Yields
    ------
    tuple
        The chunks.
    """
    p: list[Any] = []
    for chunk in chunks:
        p.append(chunk[-1])
        yield chunk
    if typical is None or not typical["watched"] or is_nested():
        return
    warn_of_unlike(np.concatenate(p), typical["n_samples"], stacklevel=5)
