"""Stratified folds of classes that may have fewer samples than there are folds."""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

from skwbc._utils.names import counted

Split = tuple[np.ndarray, np.ndarray]

# Maximum number of classes that a warning describes.
_LISTED = 5


def stratified_splits(
    n_splits: int, y: np.ndarray, seed: int, groups: np.ndarray | None
) -> list[Split]:
    """Return stratified, shuffled folds in which every class is trained on.

    Parameters
    ----------
    n_splits : int
        Number of folds.
    y : ndarray of shape (n_samples,)
        Class labels.
    seed : int
        Seeds the folds.
    groups : ndarray of shape (n_samples,) or None
        Groups that stay in one fold.

    Returns
    -------
    list of (ndarray of int, ndarray of int)
        Training and held-out indices. Without groups, a class of two or more samples is
        in at least two folds, and a class of a single sample is not held out.

    Raises
    ------
    ValueError
        If there are fewer samples, or fewer groups, than folds.
    """
    n_units = len(y if groups is None else np.unique(groups))
    if n_units < n_splits:
        raise ValueError(
            f"{n_splits} folds need at least {n_splits} "
            f"{'samples' if groups is None else 'groups'}; there "
            f"{'is' if n_units == 1 else 'are'} {n_units}. Use fewer folds."
        )
    codes, counts = np.unique(y, return_inverse=True, return_counts=True)[1:]
    # The stratified splitters refuse data whose largest class has too few samples.
    stratify = counts.max() >= n_splits
    if groups is not None:
        kind = StratifiedGroupKFold if stratify else GroupKFold
        folds = kind(n_splits, shuffle=True, random_state=seed)
        return _without_warning(folds.split(codes, codes, groups))
    if stratify:
        folds = StratifiedKFold(n_splits, shuffle=True, random_state=seed)
        splits = _without_warning(folds.split(codes, codes))
    else:
        splits = _deal(n_splits, codes, counts, seed)
    single = np.flatnonzero(counts[codes] == 1)
    if len(single) == len(y):
        return splits  # Something has to be held out.
    return [
        (np.union1d(train, single), np.setdiff1d(held_out, single))
        for train, held_out in splits
    ]


def missing_classes(
    splits: Sequence[Split], y: np.ndarray, n_folds: int | None, *, grouped: bool
) -> str:
    """Describe the classes that some members do not train on, or do not hold out.

    Parameters
    ----------
    splits : sequence of (ndarray of int, ndarray of int)
        Training and held-out indices of each member.
    y : ndarray of shape (n_samples,)
        Class labels.
    n_folds : int or None
        The number of folds if they are stratified. Classes that are not held out are
        described only then, and only if they have fewer samples.
    grouped : bool
        Whether groups stay in one fold.

    Returns
    -------
    str
        Empty if there is none.
    """
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    untrained, tested, rows = {}, {}, np.zeros(len(y), bool)
    for fold, (train, held_out) in enumerate(splits, start=1):
        rows[held_out] = True
        tested[fold] = np.bincount(codes[held_out], minlength=len(classes))
        lacking = np.bincount(codes[train], minlength=len(classes)) == 0
        if lacking.any():
            untrained[fold] = classes[lacking].tolist()
    sentences = []
    rare = np.flatnonzero(counts < (n_folds or 0))
    if len(rare):
        sentences.append(f"Classes with fewer samples than folds ({n_folds}):")
    for code in rare[:_LISTED]:
        name = repr(classes[code : code + 1].tolist()[0])
        if rows[codes == code].any():
            without = [fold for fold, held_out in tested.items() if not held_out[code]]
            sentences.append(_describe(name, counts[code], without))
        else:
            sentences.append(
                f"{name} has a single sample, which all members are trained on and "
                "none holds out: no score says anything about the class."
            )
    if len(rare) > _LISTED:
        sentences.append(f"There are {len(rare) - _LISTED} more such classes.")
    if untrained:
        listing = "; ".join(
            f"fold {fold}: {names}" for fold, names in untrained.items()
        )
        sentences.append(
            "Some members were not trained on all classes, because the training samples"
            f" of their fold lack them ({listing}). Each class is averaged over the "
            "members that know it; a held-out sample of a class that its member does "
            "not know counts as wrong."
        )
    if not sentences:
        return ""
    if grouped:
        advice = "Groups stay in one fold: add samples from other groups"
        advice += "." if n_folds else ", or use an integer cv, which stratifies, too."
    elif n_folds is None:
        advice = (
            "Stratified folds, such as those of an integer cv of "
            "KFoldEnsembleClassifier, train all members on every class."
        )
    else:
        fewer = ", or use fewer folds" if (counts[rare] > 1).any() else ""
        advice = f"Add samples of these classes{fewer}."
    return " ".join([*sentences, advice])


def _describe(name: str, count: int, without: Sequence[int]) -> str:
    """Describe a class that the members `without` do not hold out."""
    text = f"{name} has {counted(count, 'sample')}: the out-of-fold score rests on "
    text += "it" if count == 1 else "these"
    if not without:
        return f"{text}."
    *first, last = map(str, without)
    members = f"members {', '.join(first)} and {last}" if first else f"member {last}"
    return (
        f"{text}, and the fold {'scores' if first else 'score'} of {members}, which "
        f"{'hold' if first else 'holds'} out none, {'say' if first else 'says'} nothing"
        " about the class."
    )


def _deal(
    n_splits: int, codes: np.ndarray, counts: np.ndarray, seed: int
) -> list[Split]:
    """Deal the samples to the folds in turn, class after class."""
    order = np.random.RandomState(seed).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    several = order[counts[codes[order]] > 1]
    if len(several):
        # A fold has to hold out something, if need be what another one holds out, too.
        order = np.resize(several, max(len(several), n_splits))
    rows = np.arange(len(codes))
    return [
        (np.setdiff1d(rows, order[fold::n_splits]), np.sort(order[fold::n_splits]))
        for fold in range(n_splits)
    ]


def _without_warning(splits: Iterable[Split]) -> list[Split]:
    """Return splits without scikit-learn's warning of classes with few samples."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class in y")
        return list(splits)
