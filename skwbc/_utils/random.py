"""Random seeds without the global state of NumPy."""

import numpy as np

MAX_SEED = np.iinfo(np.int32).max


def draw_seed(random_state) -> int:
    """Turn a `random_state` parameter into one integer seed.

    Parameters
    ----------
    random_state : int, RandomState or Generator instance, or None
        An int is returned unchanged. An instance is advanced, as everywhere in
        scikit-learn. None takes fresh entropy from the operating system, so that
        NumPy's global generator is neither read nor advanced.

    Returns
    -------
    int
        A seed from 0 to 2**31 - 1, or the int itself.
    """
    if random_state is None or isinstance(random_state, np.random.Generator):
        return int(np.random.default_rng(random_state).integers(MAX_SEED))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(MAX_SEED))
    return int(random_state)


def seed_nested_estimators(estimator, random_state: np.random.RandomState) -> bool:
    """Give every ``random_state`` parameter inside `estimator` a seed of its own.

    Parameters
    ----------
    estimator : estimator
        Changed in place. Nested estimators are reached through ``get_params``.
    random_state : RandomState instance
        Advanced once for each parameter, in the sorted order of their names.

    Returns
    -------
    bool
        Whether `estimator` has such a parameter.
    """
    seeds = {
        name: int(random_state.randint(MAX_SEED))
        for name in sorted(estimator.get_params(deep=True))
        if name == "random_state" or name.endswith("__random_state")
    }
    if seeds:
        estimator.set_params(**seeds)
    return bool(seeds)
